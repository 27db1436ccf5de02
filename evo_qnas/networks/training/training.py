"""Training a classifier: batches, augmentation, cosine schedule."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import nn
from torch.nn import functional

from evo_qnas.data import Images
from evo_qnas.networks.acceleration.devices import Precision, autocast, channels_last, to_rest, to_training


def batches(count: int, size: int, steps: int, generator: torch.Generator) -> Iterator[Int[torch.Tensor, " batch"]]:
    """`steps` batches of indices; every image is drawn once before any is drawn again."""
    size = min(size, count)
    order, place = torch.randperm(count, generator=generator), 0
    for _ in range(steps):
        if place + size > count:
            order, place = torch.randperm(count, generator=generator), 0
        yield order[place : place + size]
        place += size


def shift(
    pixels: Float[torch.Tensor, "n c h w"], most: int, generator: torch.Generator
) -> Float[torch.Tensor, "n c h w"]:
    """Images moved by up to `most` pixels each way, the border filled with its own pixels."""
    if most == 0:
        return pixels
    n, _, height, width = pixels.shape
    padded = functional.pad(pixels, (most, most, most, most), mode="replicate")
    moves = torch.randint(0, 2 * most + 1, (2, n, 1), generator=generator)
    rows = (moves[0] + torch.arange(height))[:, None, :, None]
    columns = (moves[1] + torch.arange(width))[:, None, None, :]
    images = torch.arange(n)[:, None, None, None]
    channels = torch.arange(pixels.shape[1])[None, :, None, None]
    return padded[images, channels, rows, columns]


def train_classifier(
    network: nn.Module,
    images: Images,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    shift_pixels: int,
    label_smoothing: float,
    seed: int,
    precision: Precision = "float32",
    device: str = "cpu",
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Trains `network` in place: AdamW, one cycle of a cosine learning rate, cross-entropy.

    Args:
        network: gives logits (n, classes).
        images: what to learn from.
        epochs: passes over the images.
        batch_size: images per step.
        learning_rate: highest rate.
        weight_decay: decoupled weight decay.
        shift_pixels: augmentation, see `shift`.
        label_smoothing: 0..1.
        seed: decides order and augmentation.
        precision: of convolutions and products of matrices, see `autocast`.
        device: where to train.
        advance: called with the number of steps done.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * max(1, len(images) // min(batch_size, len(images)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=learning_rate, total_steps=steps)
    to_training(network, device).train()
    for chosen in batches(len(images), batch_size, steps, generator):
        pixels, labels = images.take(chosen)
        pixels = channels_last(shift(pixels, shift_pixels, generator).to(device))
        with autocast(precision, device):
            logits = network(pixels)
        loss = functional.cross_entropy(logits.float(), labels.to(device), label_smoothing=label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        advance(1)
    to_rest(network)
