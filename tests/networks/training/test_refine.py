"""Refinement of quantized blocks: what it gains, what it leaves alone, what an assembled network makes of it."""

import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.quantization.correction import matched_moments, moments
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.scoring.local import assemble_quantized, score_operator
from evo_qnas.networks.training.distill import block_features
from evo_qnas.networks.training.features import StoredFeatures
from evo_qnas.networks.training.refine import Refined, Refinement, refine_operator, take_refined
from tests.networks.conftest import make_images

EIGHT = Bits(weight=8, activation=8)
BLOCK = "stages.1"
SETTINGS = Refinement(steps=40, batch_size=32, learning_rate=3e-3, step_learning_rate=1e-2)


def refined(teacher: nn.Module, images: torch.Tensor, bits: list[int], settings: Refinement = SETTINGS) -> dict:
    inputs, targets = block_features(teacher, BLOCK, images)
    features = StoredFeatures(inputs, targets)
    return refine_operator(teacher.get_submodule(BLOCK), features, inputs, settings, weight_bits=bits, seed=3)


def scores(teacher: nn.Module, images: torch.Tensor, given: dict[int, Refined]) -> dict[int, float]:
    """By weight bits, on images that nothing learnt from."""
    calibration, _ = block_features(teacher, BLOCK, images)
    inputs, targets = block_features(teacher, BLOCK, make_images(64, seed=9).pixels)
    found = score_operator(
        "teacher",
        teacher.get_submodule(BLOCK),
        weight_bits=[2, 8],
        activation_bits=[8],
        calibration=calibration,
        inputs=inputs,
        targets=targets,
        variance=StoredFeatures(inputs, targets).variance,
        refined=given,
    )
    return {choice.weight_bits: choice.score for choice in found}


def test_refined_weights_copy_the_teacher_better_and_only_at_their_bits(
    teacher: nn.Module, images: torch.Tensor
) -> None:
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    plain, better = scores(teacher, images, {}), scores(teacher, images, refined(teacher, images, [2]))
    assert better[2] < 0.8 * plain[2]
    assert better[8] == plain[8]
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


def test_each_ends_the_same_whoever_learns_beside_it(teacher: nn.Module, images: torch.Tensor) -> None:
    settings = Refinement(steps=3, batch_size=32, learning_rate=3e-3, step_learning_rate=1e-2, activation_bits=4)
    together, alone = refined(teacher, images, [2, 3], settings), refined(teacher, images, [3], settings)
    assert set(together) == {2, 3}
    assert all(torch.equal(tensor, alone[3][name]) for name, tensor in together[3].items())
    assert any(not torch.equal(tensor, together[2][name]) for name, tensor in together[3].items())


def test_an_operator_without_layers_has_nothing_to_refine(images: torch.Tensor) -> None:
    features = StoredFeatures(images, images)
    assert refine_operator(nn.Identity(), features, images, SETTINGS, weight_bits=[2], seed=0) == {}


def assembled(teacher: nn.Module, images: torch.Tensor, tensors: Refined) -> QuantizedNetwork:
    """With two bits in both stages, of which the second is refined: its inputs are no longer the teacher's."""
    two = Bits(weight=2, activation=8)
    bits = {"stages.0": two, BLOCK: two}
    return assemble_quantized(teacher, {}, bits, EIGHT, images, refined={BLOCK: tensors})


def test_an_assembled_network_has_the_refined_codes_and_their_outputs_statistics(
    teacher: nn.Module, images: torch.Tensor
) -> None:
    (tensors,) = refined(teacher, images, [2]).values()
    network = assembled(teacher, images, tensors)
    layers = [layer for layer in network.layers if layer.block == BLOCK]
    assert [layer.kept is not None for layer in network.layers] == [layer.block == BLOCK for layer in network.layers]
    for quantizer in network.quantizers:
        quantizer.active = False
    for index, (layer, (mean, deviation)) in enumerate(zip(layers, moments(network, layers, images), strict=True)):
        weight, step = tensors[f"{index:03d}.weight"], tensors[f"{index:03d}.scale"]
        codes = torch.clamp(torch.round(weight / step.view(-1, 1, 1, 1)), -2, 1)
        # A factor may tip the rounding of a weight that lies on the very edge.
        assert float((layer.weight_codes() == codes).float().mean()) > 0.999
        wanted = tensors[f"{index:03d}.deviation"]
        assert torch.allclose(mean, tensors[f"{index:03d}.mean"], atol=0.02 * float(wanted.max()))
        assert torch.allclose(deviation, wanted, rtol=0.05, atol=0.02 * float(wanted.max()))
    raw = quantize(teacher, images[:2], Policy(fixed=EIGHT, blocks={BLOCK: EIGHT}))
    take_refined(raw, tensors, block=BLOCK)
    steps = [layer.scale() for layer in raw.layers if layer.kept is not None]
    assert any(not torch.allclose(one, layer.scale(), rtol=0.02) for one, layer in zip(steps, layers, strict=True))


def test_matched_moments_outputs_by_hand() -> None:
    network = quantize(nn.Sequential(nn.Conv2d(1, 1, 1)), torch.zeros(2, 1, 4, 4), Policy(fixed=EIGHT))
    (layer,) = network.layers
    with torch.no_grad():
        layer.weight.fill_(0.5)
        layer.bias.fill_(1.0)
    layer.keep(torch.tensor([0.5]), (torch.tensor([2.0]), torch.tensor([3.0])))
    # The layer gives 0 and 2: mean 1, deviation 1; 3 times as wide around 2 is -1 and 5.
    x = torch.cat([torch.full((1, 1, 4, 4), -2.0), torch.full((1, 1, 4, 4), 2.0)])
    with matched_moments([layer], for_good=False):
        passing = network(x)
    assert float(layer.weight.detach()) == 0.5
    with matched_moments([layer], for_good=True):
        network(x)
    for found in (passing, network(x)):
        assert torch.allclose(found.flatten(1).mean(dim=1), torch.tensor([-1.0, 5.0]), atol=0.02)
    assert float(layer.weight_codes()) == 1.0


def test_a_twin_is_equal_and_apart(teacher: nn.Module, images: torch.Tensor) -> None:
    network = quantize(teacher, images[:2], Policy(fixed=Bits(weight=3, activation=5)))
    network.calibrate([images])
    twin = network.clone()
    before = network(images)
    assert torch.equal(twin(images), before)
    assert [q.limits for q in twin.quantizers] == [q.limits for q in network.quantizers]
    assert {id(source) for layer in twin.layers for source in layer.source} <= {id(q) for q in twin.quantizers}
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1.0)
    assert torch.equal(network(images), before)


def test_refined_weights_of_another_block_are_refused(teacher: nn.Module, images: torch.Tensor) -> None:
    inputs, _ = block_features(teacher, "stages.0", images[:2])
    other = quantize(teacher.get_submodule("stages.0"), inputs, Policy(fixed=EIGHT))
    settings = Refinement(steps=1, batch_size=8, learning_rate=1e-3, step_learning_rate=1e-3)
    (tensors,) = refined(teacher, images, [2], settings).values()
    with pytest.raises(NetworkError, match=r"'002\.bias' has the shape \(12,\), the block needs \(8,\): delete"):
        take_refined(other, tensors)
