"""Tasks, DeepLabV3 and its training: against hand-counted cases, and through a stop in the middle."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evo_qnas.data import IGNORE, Augmentation, Images, Splits
from evo_qnas.errors import DataError, NetworkError
from evo_qnas.networks.candidates.blocks import find_blocks
from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.models.deeplab import DeepLabV3
from evo_qnas.networks.models.teachers import load_teacher
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.networks.scoring.local import assemble_quantized
from evo_qnas.networks.tasks.balance import class_weights
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.networks.tasks.segmentation import Segmentation, upsampled
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings
from evo_qnas.networks.training.finetune import finetune

STAGES = [
    {"channels": 8, "expansion": 1, "depth": 1, "stride": 1},
    {"channels": 12, "expansion": 2, "depth": 1, "stride": 2},
    {"channels": 16, "expansion": 2, "depth": 2, "stride": 1, "dilation": 2},
]


def small(seed: int = 0) -> DeepLabV3:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DeepLabV3(classes=3, stem=8, stages=STAGES, aspp={"channels": 16, "rates": [1, 2]})


def scenes(count: int, seed: int = 1) -> Images:
    """Sky over ground with a box on it, uint8 pixels; the box is class 2, a strip at the left is not labelled."""
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 60, (count, 3, 24, 32), generator=rng, dtype=torch.uint8)
    labels = torch.zeros(count, 24, 32, dtype=torch.uint8)
    for index in range(count):
        horizon, left = (int(torch.randint(low, low + 8, (1,), generator=rng)) for low in (8, 6))
        pixels[index, 2, :horizon] += 150
        pixels[index, 1, horizon:] += 120
        labels[index, horizon:] = 1
        pixels[index, 0, horizon - 4 : horizon + 4, left : left + 8] += 190
        labels[index, horizon - 4 : horizon + 4, left : left + 8] = 2
    labels[:, :, :2] = IGNORE
    return Images(pixels=pixels, labels=labels, mean=(0.3, 0.3, 0.3), std=(0.2, 0.2, 0.2))


SETTINGS = TeacherSettings(
    epochs=6,
    batch_size=8,
    learning_rate=1e-2,
    weight_decay=1e-4,
    average=0.9,
    validate_every=2,
    augmentation=Augmentation(flip=True, crop=(16, 24)),
)

TUNING = FinetuningSettings(
    epochs=3, batch_size=8, learning_rate=3e-3, step_learning_rate=1e-2, temperature=2.0, teacher_share=0.5
)


def train_segmenter(
    network: nn.Module, train: Images, validation: Images, *, settings: TeacherSettings, seed: int, **more: Any
) -> list[float]:
    splits = Splits(train=train, search=validation, test=validation, classes=("sky", "ground", "box"))
    return Segmentation().train_teacher(network, splits, settings, seed=seed, **more)


class Fixed(nn.Module):
    """Gives the same logits whatever it sees."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits[: len(x)]


def test_a_task_leaves_out_pixels_without_label() -> None:
    labels = torch.tensor([[[0, 1], [IGNORE, 1]]], dtype=torch.uint8)
    images = Images(pixels=torch.zeros(1, 3, 2, 2, dtype=torch.uint8), labels=labels, mean=(0.5,) * 3, std=(1.0,) * 3)
    logits = torch.tensor([[[[2.0, 2.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 3.0]]]])
    # Class 0: 1 of 2 pixels taken for it and 1 labelled, union 2; class 1: 1 of 1 found, 2 labelled, union 2.
    assert Segmentation().metric(Fixed(logits), images) == pytest.approx(0.5)
    wanted = torch.nn.functional.cross_entropy(
        torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 1, 1])
    )
    assert float(Segmentation().loss(logits, labels.long())) == pytest.approx(float(wanted))
    nothing = Segmentation().loss(logits.requires_grad_(), torch.full((1, 2, 2), IGNORE))
    nothing.backward()
    assert nothing.item() == 0.0


def test_logits_of_any_resolution_meet_the_labels() -> None:
    coarse = torch.tensor([[[[0.0, 4.0]]]])
    assert torch.allclose(upsampled(coarse, (1, 4)), torch.tensor([[[[0.0, 1.0, 3.0, 4.0]]]]))
    assert upsampled(coarse, (1, 2)) is coarse


def test_large_images_run_few_at_a_time() -> None:
    assert evaluation_batch(torch.empty(9, 1, 8, 8)) == 512
    assert evaluation_batch(torch.empty(9, 3, 1024, 1024)) == 1


def test_class_weights_are_median_over_frequency() -> None:
    labels = torch.tensor([0] * 8 + [1] * 4 + [2] * 2 + [IGNORE] * 2, dtype=torch.uint8).view(1, 4, 4)
    images = Images(pixels=torch.zeros(1, 3, 4, 4), labels=labels)
    weights = class_weights(images, 4, 1.0)
    # Frequencies 8/14, 4/14, 2/14, median 4/14: 1/2, 1, 2 over their mean 7/6; class 3 is absent.
    assert weights[:3].tolist() == pytest.approx([0.5 / (7 / 6), 1 / (7 / 6), 2 / (7 / 6)])
    assert class_weights(images, 4, 0.0).tolist() == [1.0] * 4
    with pytest.raises(DataError, match="a label of class 2 is beyond the 2 classes"):
        class_weights(images, 2, 0.5)
    empty = Images(pixels=torch.zeros(1, 3, 1, 1), labels=torch.full((1, 1, 1), IGNORE, dtype=torch.uint8))
    with pytest.raises(DataError, match="at least one labelled pixel"):
        class_weights(empty, 2, 0.5)


def test_deeplab_keeps_resolution_and_its_blocks_keep_dilation() -> None:
    network, pixels = small(), torch.zeros(2, 3, 24, 32)
    assert network.eval()(pixels).shape == (2, 3, 24, 32)
    with torch.no_grad():
        assert network.stages(network.stem(pixels)).shape[2:] == (6, 8)
    shapes = find_blocks(network, ["stages.1", "stages.2", "aspp"], pixels)
    assert [shape.dilation for shape in shapes] == [1, 2, 2]
    (operator,) = load_operators("inverted_residual", {"kernel": [5], "expansion": [2], "depth": [2]})
    built = build_candidate(operator, shapes[1], seed=0)
    convolutions = [m for m in built.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (5, 5)]
    assert [(m.dilation, m.padding) for m in convolutions] == [((2, 2), (4, 4))] * 2
    (pyramid,) = load_operators("separable_pyramid", {"rate": [1], "divide": [2]})
    assert build_candidate(pyramid, shapes[2], seed=0)(torch.zeros(2, 16, 6, 8)).shape == (2, 16, 6, 8)
    assert build_candidate(pyramid, shapes[0], seed=0) is None
    with pytest.raises(NetworkError, match="has no key 'width'"):
        DeepLabV3(classes=3, stem=8, stages=[{**STAGES[0], "width": 3}], aspp={"channels": 8, "rates": [1]})


def test_training_learns_and_goes_on_from_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = scenes(24), scenes(8, seed=2)
    whole, broken = small(), small()
    before = Segmentation().metric(copy.deepcopy(whole).eval(), validation)
    options: dict[str, Any] = {"settings": SETTINGS, "seed": 5}
    history = train_segmenter(whole, train, validation, **options)
    assert len(history) == 3
    assert max(history) > before + 0.2
    path, taken = tmp_path / "checkpoint.safetensors", 0

    def stop(steps: int) -> None:
        nonlocal taken
        taken += steps
        if taken == 14:  # in the fifth epoch; four are in the checkpoint
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_segmenter(broken, train, validation, **options, checkpoint=path, fingerprint="a", advance=stop)
    resumed = small(seed=3)
    done: list[int] = []
    again = train_segmenter(
        resumed, train, validation, **options, checkpoint=path, fingerprint="a", advance=done.append
    )
    assert done[0] == 12
    assert again == history
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )
    assert not path.exists()


def test_training_in_bfloat16_learns_and_keeps_weights_in_float32() -> None:
    """Over six seeds and two numbers of threads both precisions reach the same on average, 0.16 .. 0.74."""
    train, validation = scenes(24), scenes(8, seed=2)
    found = []
    for precision in ("float32", "bfloat16"):
        network = small()
        before = Segmentation().metric(copy.deepcopy(network).eval(), validation)
        settings = dataclasses.replace(SETTINGS, precision=precision)
        found.append(train_segmenter(network, train, validation, settings=settings, seed=5))
        assert max(found[-1]) > before + 0.2  # 0.41 .. 0.58 more here
        assert all(parameter.dtype is torch.float32 for parameter in network.parameters())
    assert found[0] != found[1]


FURTHER = dataclasses.replace(SETTINGS, epochs=4, learning_rate=3e-3, augmentation=Augmentation(flip=True))
FULL_SIZE = dataclasses.replace(SETTINGS, full_size=FURTHER)


@pytest.fixture(scope="module")
def unbroken() -> tuple[DeepLabV3, list[float]]:
    """Trained on crops, then at full size, and its history."""
    whole = small()
    return whole, train_segmenter(whole, scenes(24), scenes(8, seed=2), settings=FULL_SIZE, seed=5)


def test_training_at_full_size_goes_on_from_crops(unbroken: tuple[DeepLabV3, list[float]]) -> None:
    whole, history = unbroken
    train, validation = scenes(24), scenes(8, seed=2)
    first = train_segmenter(small(), train, validation, settings=SETTINGS, seed=5)
    assert (len(history), history[:3]) == (5, first)
    assert Segmentation().metric(whole, validation) == max(history)


@pytest.mark.parametrize(("stop_at", "done"), [(14, [12, 0]), (19, [18, 0]), (25, [18, 6])])
def test_training_goes_on_at_full_size_also_after_a_stop(
    stop_at: int, done: list[int], unbroken: tuple[DeepLabV3, list[float]], tmp_path: Path
) -> None:
    train, validation, path = scenes(24), scenes(8, seed=2), tmp_path / "checkpoint.safetensors"
    options: dict[str, Any] = {"settings": FULL_SIZE, "seed": 5}
    whole, history = unbroken
    broken, resumed = small(), small(seed=3)
    taken = 0

    def stop(steps: int) -> None:
        nonlocal taken
        taken += steps
        if taken == stop_at:  # three steps are an epoch; six epochs, then four
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_segmenter(broken, train, validation, **options, checkpoint=path, fingerprint="a", advance=stop)
    steps: list[int] = []
    options |= {"checkpoint": path, "fingerprint": "a"}
    again = train_segmenter(resumed, train, validation, **options, advance=steps.append)
    assert [part for part in steps if part != 1] == done
    assert sum(steps) == 30
    assert again == history
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )
    assert not path.exists()


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    done: list[int] = []

    def stop(steps: int) -> None:
        if len(done) > 7:
            raise KeyboardInterrupt
        done.append(steps)

    options: dict[str, Any] = {"settings": SETTINGS, "seed": 5, "checkpoint": path}
    with pytest.raises(KeyboardInterrupt):
        train_segmenter(small(), scenes(24), scenes(8), **options, fingerprint="a", advance=stop)
    assert path.exists()
    steps: list[int] = []
    train_segmenter(small(), scenes(24), scenes(8), **options, fingerprint="b", advance=steps.append)
    assert steps[0] == 0


@pytest.mark.slow
def test_fine_tuning_helps_a_coarse_segmenter() -> None:
    train = scenes(24)
    teacher = small()
    train_segmenter(teacher, train, scenes(8, seed=2), settings=SETTINGS, seed=5)
    coarse = Bits(weight=2, activation=4)
    network = assemble_quantized(teacher, {}, {"stages.2": coarse}, coarse, train.take(slice(0, 8))[0])
    rough = Segmentation().metric(network, train)
    finetune(
        network,
        teacher,
        train,
        dataclasses.replace(TUNING, epochs=6, learning_rate=3e-3, augmentation=Augmentation(flip=True)),
        seed=1,
        task=Segmentation(),
        weights=class_weights(train, 3, 0.5),
    )
    assert Segmentation().metric(network, train) > rough + 0.05


def test_fine_tuning_ends_with_its_best_state_on_the_images_it_watches() -> None:
    """At a rate that ruins the network the start is best; at a sensible one a later state is, and both are kept."""
    train, watched = scenes(24), scenes(8, seed=2)
    teacher = small()
    train_segmenter(teacher, train, watched, settings=SETTINGS, seed=5)
    coarse = Bits(weight=2, activation=4)
    found: dict[tuple[float, bool], float] = {}
    for rate in (3e-3, 1.0):
        for keep in (False, True):
            network = assemble_quantized(teacher, {}, {"stages.2": coarse}, coarse, train.take(slice(0, 8))[0])
            before = Segmentation().metric(network, watched)
            settings = dataclasses.replace(TUNING, learning_rate=rate)
            finetune(network, teacher, train, settings, seed=1, task=Segmentation(), watched=watched if keep else None)
            found[rate, keep] = Segmentation().metric(network, watched)
    assert found[1.0, False] < before
    assert found[1.0, True] == before
    assert found[3e-3, True] >= found[3e-3, False]
    assert found[3e-3, True] > before


def test_a_state_dict_is_read_without_running_code(tmp_path: Path) -> None:
    network, other = small(), small(seed=1)
    torch.save(network.state_dict(), tmp_path / "plain.pt")
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, tmp_path / "wrapped.pth")
    for name in ("plain.pt", "wrapped.pth"):
        loaded = load_teacher(copy.deepcopy(other), tmp_path / name)
        assert torch.equal(loaded.classifier[1].weight, network.classifier[1].weight)
    torch.save(network, tmp_path / "module.pt")
    with pytest.raises(NetworkError, match="no state dict of tensors that can be read without running code"):
        load_teacher(other, tmp_path / "module.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(NetworkError, match="holds no state dict"):
        load_teacher(other, tmp_path / "list.pt")
    with pytest.raises(NetworkError, match="there is no weights file"):
        load_teacher(other, tmp_path / "none.pt")
