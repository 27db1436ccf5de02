import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evo_qnas.data import Images, Splits
from evo_qnas.data.augment import shift
from evo_qnas.data.batches import batches
from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.batch_norm import estimate_batch_norm
from evo_qnas.networks.candidates.blocks import assemble, find_blocks
from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.models.teachers import InvertedResidualClassifier, build_teacher, load_teacher, start_teacher
from evo_qnas.networks.models.weights import load_weights, save_weights
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.scoring.local import assemble_quantized, score_operator
from evo_qnas.networks.tasks.classification import Classification, accuracy
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings
from evo_qnas.networks.training.distill import block_features, candidate_steps, distill
from evo_qnas.networks.training.features import StoredFeatures
from evo_qnas.networks.training.finetune import finetune
from evo_qnas.networks.training.noise import channel_variance, noise_to_signal

SETTINGS = {"steps": 120, "batch_size": 16, "learning_rate": 1e-2, "weight_decay": 0.0, "seed": 0}


def test_noise_to_signal_by_hand() -> None:
    """Two channels with variances 1 and 4; errors 1 and 2 everywhere: (1/1 + 4/4) / 2 = 1."""
    target = torch.zeros(3, 2, 2, 2)
    output = torch.stack([torch.full((3, 2, 2), 1.0), torch.full((3, 2, 2), 2.0)], dim=1)
    assert torch.allclose(noise_to_signal(target, output, torch.tensor([1.0, 4.0])), torch.ones(3))


def test_the_gradient_of_noise_to_signal_keeps_the_layout_of_maps() -> None:
    """Convolutions and BatchNorm turn a gradient of another layout back, which takes longer than their own work."""
    target, output = (torch.randn(2, 6, 4, 5).contiguous(memory_format=torch.channels_last) for _ in range(2))
    loss = noise_to_signal(target, output.requires_grad_(), torch.ones(6)).mean()
    (gradient,) = torch.autograd.grad(loss, output)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_noise_to_signal_of_the_mean_is_one() -> None:
    target = torch.randn(64, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 3.0, 9.0]).view(
        3, 1, 1
    )
    mean = target.mean(dim=(0, 2, 3), keepdim=True).expand_as(target)
    assert float(noise_to_signal(target, mean, channel_variance(target)).mean()) == pytest.approx(1.0, rel=1e-5)


def test_a_dead_channel_does_not_divide_by_zero() -> None:
    target = torch.randn(8, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    target[:, 1] = 0.0
    variance = channel_variance(target)
    assert float(variance[1]) == pytest.approx(float(variance[0] / 2) * 1e-3, rel=1e-2)


def test_batches_draw_every_image_once_before_any_again() -> None:
    drawn = torch.cat(list(batches(10, 5, 4, torch.Generator().manual_seed(0))))
    assert sorted(drawn[:10].tolist()) == list(range(10))
    assert sorted(drawn[10:].tolist()) == list(range(10))
    assert [len(b) for b in batches(3, 8, 2, torch.Generator().manual_seed(0))] == [3, 3]


def test_shift_moves_whole_images() -> None:
    pixels = torch.zeros(50, 1, 5, 5)
    pixels[:, 0, 2, 2] = 1.0
    moved = shift(pixels, 1, torch.Generator().manual_seed(0))
    places = {(int(r), int(c)) for r, c in (torch.nonzero(image[0])[0] for image in moved)}
    assert places == {(r, c) for r in (1, 2, 3) for c in (1, 2, 3)}
    assert torch.equal(shift(pixels, 0, torch.Generator()), pixels)


def test_distillation_learns_and_does_not_depend_on_its_company(teacher: nn.Module, images: torch.Tensor) -> None:
    (shape,) = find_blocks(teacher, ["stages.1"], images[:2])
    operators = load_operators("inverted_residual", {"kernel": [3], "expansion": [1, 2], "depth": [1]})
    inputs, targets = block_features(teacher, "stages.1", images)
    variance = channel_variance(targets)

    def candidates() -> dict[str, nn.Module]:
        return {o.label: m for o in operators if (m := build_candidate(o, shape, seed=3)) is not None}

    together = candidates()
    fresh = float(noise_to_signal(targets, together["ir_k3_e2_d1"](inputs), variance).mean().detach())
    assert candidate_steps(list(together.values()), 120) == 240
    losses = distill(together, StoredFeatures(inputs, targets), **SETTINGS)
    assert losses["ir_k3_e2_d1"] < 0.85 * fresh  # 0.54 .. 0.64 over ten seeds
    alone = {"ir_k3_e2_d1": candidates()["ir_k3_e2_d1"]}
    distill(alone, StoredFeatures(inputs, targets), **SETTINGS)
    for one, other in zip(
        alone["ir_k3_e2_d1"].state_dict().values(), together["ir_k3_e2_d1"].state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


def test_distillation_in_bfloat16_learns_as_well(teacher: nn.Module, images: torch.Tensor) -> None:
    """Rounding to 8 bits leaves noise of about 1e-5 of the signal, far below what either way reaches."""
    (shape,) = find_blocks(teacher, ["stages.1"], images[:2])
    (operator,) = load_operators("inverted_residual", {"kernel": [5], "expansion": [2], "depth": [1]})
    features = StoredFeatures(*block_features(teacher, "stages.1", images))
    losses = []
    for precision in ("float32", "bfloat16"):
        module = build_candidate(operator, shape, seed=3)
        assert module is not None
        (loss,) = distill({"x": module}, features, precision=precision, **SETTINGS).values()
        losses.append(loss)
        assert all(parameter.dtype is torch.float32 for parameter in module.parameters())
    assert losses[0] != losses[1]
    assert losses[1] < 1.3 * losses[0]


def test_scores_fall_with_bits_and_the_teacher_at_8_bits_is_nearly_perfect(
    teacher: nn.Module, images: torch.Tensor
) -> None:
    inputs, targets = block_features(teacher, "stages.1", images)
    scored = score_operator(
        "teacher",
        teacher.get_submodule("stages.1"),
        weight_bits=[2, 4, 8],
        activation_bits=[4, 8],
        calibration=inputs,
        inputs=inputs,
        targets=targets,
        variance=channel_variance(targets),
    )
    by_bits = {(choice.weight_bits, choice.activation_bits): choice for choice in scored}
    assert len(by_bits) == 6
    assert by_bits[8, 8].score < 5e-3 < by_bits[4, 8].score < by_bits[2, 8].score
    assert by_bits[8, 8].score < by_bits[8, 4].score
    assert by_bits[8, 8].costs.size_bytes > by_bits[4, 8].costs.size_bytes > by_bits[2, 8].costs.size_bytes
    assert by_bits[4, 8].costs.bit_operations == by_bits[4, 8].costs.macs * 32
    assert all(choice.stderr > 0 for choice in scored)


def test_the_standard_error_is_that_of_the_mean_over_images(teacher: nn.Module, images: torch.Tensor) -> None:
    """An identity has no bits: its score is the plain ratio, whose standard error is known."""
    inputs, targets = block_features(teacher, "stages.0", images)
    variance = channel_variance(targets)
    (choice,) = score_operator(
        "identity",
        nn.Identity(),
        weight_bits=[4],
        activation_bits=[8],
        calibration=inputs,
        inputs=inputs,
        targets=targets,
        variance=variance,
    )
    ratios = noise_to_signal(targets, inputs, variance).double()
    assert (choice.weight_bits, choice.activation_bits, choice.costs.size_bytes) == (0, 0, 0)
    assert choice.score == pytest.approx(float(ratios.mean()))
    assert choice.stderr == pytest.approx(float(ratios.std() / len(ratios) ** 0.5))


def test_training_and_fine_tuning_learn_and_repeat_exactly(teacher: nn.Module, labelled: Images) -> None:
    """Chance is 0.25; over twelve seeds training ends at 0.99 or more, so that no other processor comes near 0.9.

    Two bits alone take the accuracy to 0.37 .. 0.76, fine-tuning brings it to 0.98 or more.
    """
    data = labelled
    splits = Splits(train=data, search=data, test=data, classes=("0", "1", "2", "3"))
    options: dict[str, Any] = {"batch_size": 32, "shift_pixels": 1}
    training = TeacherSettings(epochs=40, learning_rate=1e-2, weight_decay=1e-4, label_smoothing=0.1, **options)
    first = build_teacher("inverted_residual_classifier", PARAMETERS)
    second = build_teacher("inverted_residual_classifier", PARAMETERS)
    before = accuracy(first, data)
    second.load_state_dict(first.state_dict())
    Classification().train_teacher(first, splits, training, seed=4)
    assert accuracy(first, data) > 0.9
    assert before < 0.6
    first.load_state_dict(second.state_dict())
    for network in (first, second):
        Classification().train_teacher(network, splits, replace(training, epochs=3), seed=4)
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    bits = {"stages.0": Bits(weight=2, activation=4)}
    network = assemble_quantized(teacher, {}, bits, Bits(weight=2, activation=4), data.pixels)
    rough = accuracy(network, data)
    tuning = FinetuningSettings(
        epochs=20, learning_rate=5e-3, step_learning_rate=1e-2, temperature=2.0, teacher_share=0.5, **options
    )
    codes = [layer.weight_codes() for layer in network.layers]
    finetune(network, teacher, data, tuning, task=Classification(), seed=4)
    assert accuracy(network, data) > max(0.85, rough + 0.05)
    assert any(not torch.equal(a, layer.weight_codes()) for a, layer in zip(codes, network.layers, strict=True))


PARAMETERS = {
    "channels": 1,
    "classes": 4,
    "stem": 8,
    "head": 16,
    "stages": [{"channels": 8, "expansion": 2, "depth": 1, "stride": 2}],
}


def test_teachers_are_built_by_name_or_function() -> None:
    assert isinstance(build_teacher("inverted_residual_classifier", PARAMETERS), InvertedResidualClassifier)
    assert isinstance(build_teacher("torch.nn:Identity", {}), nn.Identity)
    with pytest.raises(NetworkError, match="there is no teacher 'resnet'"):
        build_teacher("resnet", {})
    with pytest.raises(NetworkError, match="cannot be imported"):
        build_teacher("torch.nn:Nothing", {})
    with pytest.raises(NetworkError, match="does not accept its parameters"):
        build_teacher("inverted_residual_classifier", {"width": 3})
    with pytest.raises(NetworkError, match="gave a list, not"):
        build_teacher("builtins:list", {})


def test_weights_of_another_shape_are_refused(tmp_path: Path, teacher: nn.Module) -> None:
    path = tmp_path / "w.safetensors"
    state = teacher.state_dict()
    save_weights(state, path, {"fingerprint": "x"})
    assert load_weights(path)[1] == {"fingerprint": "x"}
    other = build_teacher("inverted_residual_classifier", PARAMETERS)
    with pytest.raises(NetworkError, match=r"has no tensor|has the shape|does not know"):
        load_teacher(other, path)
    wider = {**state, "stem.0.weight": torch.zeros(9, 1, 3, 3)}
    save_weights(wider, path, {})
    with pytest.raises(
        NetworkError, match=r"'stem.0.weight' has the shape \(9, 1, 3, 3\), the teacher needs \(8, 1, 3, 3\)"
    ):
        load_teacher(teacher, path)
    save_weights({**state, "extra": torch.zeros(1)}, path, {})
    with pytest.raises(NetworkError, match="has a tensor 'extra', which the teacher does not know"):
        load_teacher(teacher, path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(NetworkError, match="no readable safetensors file"):
        load_teacher(teacher, path)
    with pytest.raises(NetworkError, match="there is no weights file"):
        load_teacher(teacher, tmp_path / "none.safetensors")


def test_training_starts_from_what_fits_of_other_weights(tmp_path: Path, teacher: nn.Module) -> None:
    path, fresh = tmp_path / "w.safetensors", copy.deepcopy(teacher)
    drawn = {name: value.clone() + 1 for name, value in teacher.state_dict().items()}
    first, *_, last = drawn
    save_weights({**drawn, last: torch.zeros(77), "extra": torch.zeros(1)}, path, {})
    assert start_teacher(fresh, path) == (len(drawn) - 1, len(drawn))
    found = fresh.state_dict()
    assert torch.equal(found[first], drawn[first])
    assert torch.equal(found[last], teacher.state_dict()[last])
    torch.save({"extra": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(NetworkError, match=rf"no tensor of a name and shape that the teacher knows, such as '{first}'"):
        start_teacher(fresh, tmp_path / "w.pt")


def test_batch_norm_is_estimated_anew_where_a_block_was_replaced(teacher: nn.Module, labelled: Images) -> None:
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    estimate_batch_norm(teacher, [labelled.pixels])
    first = teacher.stem[1]
    with torch.no_grad():
        seen = teacher.stem[0](labelled.pixels)
    assert torch.allclose(first.running_mean, seen.mean(dim=(0, 2, 3)), atol=1e-5)
    assert torch.allclose(first.running_var, seen.var(dim=(0, 2, 3)), rtol=1e-3)
    assert not teacher.training
    assert first.momentum == 0.1
    assert not torch.equal(before["stem.1.running_mean"], first.running_mean)


def test_assembling_with_a_replaced_block_helps_what_follows(teacher: nn.Module, labelled: Images) -> None:
    """A replacement that shifts its output: new statistics take the shift out, old ones let it through."""
    shifted = nn.Sequential(copy.deepcopy(teacher.get_submodule("stages.0")), nn.Conv2d(8, 8, 1))
    with torch.no_grad():
        shifted[1].weight.copy_(torch.eye(8).view(8, 8, 1, 1) * 3.0)
        shifted[1].bias.fill_(20.0)
    eight = Bits(weight=8, activation=8)
    bits = dict.fromkeys(["stages.0", "stages.1"], eight)
    plain = quantize(assemble(teacher, {"stages.0": shifted}), labelled.pixels[:2], Policy(fixed=eight, blocks=bits))
    plain.calibrate([labelled.pixels])
    helped = assemble_quantized(teacher, {"stages.0": shifted}, bits, eight, labelled.pixels)
    assert accuracy(helped, labelled) > accuracy(plain, labelled) + 0.2
