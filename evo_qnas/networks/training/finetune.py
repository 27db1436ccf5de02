"""Quantization-aware fine-tuning of an assembled network, distilled from the teacher."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from evo_qnas.data import Images
from evo_qnas.data.augment import Augmentation, augment
from evo_qnas.networks.acceleration.devices import OnDevice, channels_last, to_rest, to_training
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.quantization.scales import Scale
from evo_qnas.networks.tasks.base import Classification, Task
from evo_qnas.networks.training.training import batches, shift


def finetune(
    network: QuantizedNetwork,
    teacher: nn.Module,
    images: Images,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    step_learning_rate: float,
    temperature: float,
    teacher_share: float,
    shift_pixels: int = 0,
    seed: int,
    task: Task | None = None,
    augmentation: Augmentation | None = None,
    class_weights: Float[torch.Tensor, " classes"] | None = None,
    watched: Images | None = None,
    device: str = "cpu",
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Fine-tunes `network` in place: weights and the logarithms of all step sizes, Adam with a cosine rate.

    The loss is `teacher_share` x KL divergence to the teacher's softened output (mean over images, or over the places
    of the logits' own resolution) plus the rest x the task's cross-entropy.

    Args:
        network: calibrated.
        teacher: the float teacher.
        images: train images.
        epochs: passes over the images.
        batch_size: images per step.
        learning_rate: highest rate of weights and biases.
        step_learning_rate: highest rate of the logarithms of step sizes.
        temperature: softening of both outputs.
        teacher_share: 0..1.
        shift_pixels: augmentation of images with one label.
        seed: decides order and augmentation.
        task: gives the loss on labels; classification where None.
        augmentation: of images with label maps, None for none.
        class_weights: of the loss on labels.
        watched: images on which the task's metric is taken before the first and after each epoch; the best of these
            states is what `network` ends with, of equal ones the first. None: the last one.
        device: where to train.
        advance: called with the number of steps done.

    Source: Hinton et al. 2015, distillation; Esser et al. 2020, LSQ, for learned steps.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * max(1, len(images) // min(batch_size, len(images)))
    thetas = [module.theta for module in network.modules() if isinstance(module, Scale)]
    weights = [
        parameter for layer in network.layers for parameter in (layer.weight, layer.bias) if parameter is not None
    ]
    optimizer = torch.optim.Adam(
        [{"params": weights, "lr": learning_rate}, {"params": thetas, "lr": step_learning_rate}], fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    goal = task or Classification()
    class_weights = None if class_weights is None else class_weights.to(device)
    to_training(network, device)
    to_training(teacher, device).eval()
    learnt = [*weights, *thetas]
    best, kept = -1.0, [parameter.detach().clone() for parameter in learnt]
    shown = None if watched is None else OnDevice(network, device)
    if watched is not None and shown is not None:
        best = goal.metric(shown, watched)
    for step, chosen in enumerate(batches(len(images), batch_size, steps, generator), start=1):
        pixels, labels = images.take(chosen)
        if augmentation is not None:
            pixels, labels = augment(pixels, labels, augmentation, generator)
        pixels = channels_last(shift(pixels, shift_pixels, generator).to(device))
        with torch.no_grad():
            wanted = functional.log_softmax(teacher(pixels) / temperature, dim=1)
        logits = network(pixels)
        found = functional.log_softmax(logits / temperature, dim=1)
        soft = functional.kl_div(found, wanted, reduction="none", log_target=True).sum(dim=1).mean()
        hard = goal.loss(logits, labels.to(device), class_weights=class_weights)
        loss = teacher_share * temperature**2 * soft + (1.0 - teacher_share) * hard
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        advance(1)
        if watched is not None and shown is not None and step % (steps // epochs) == 0:
            reached = goal.metric(shown, watched)
            if reached > best:
                best, kept = reached, [parameter.detach().clone() for parameter in learnt]
    if watched is not None:
        with torch.no_grad():
            for parameter, value in zip(learnt, kept, strict=True):
                parameter.copy_(value)
    to_rest(network)
    to_rest(teacher)
