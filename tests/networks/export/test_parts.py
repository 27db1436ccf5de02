"""Parts of networks: blocks with codes in and out, the fixed part, whole networks from their parts, float networks."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export import Part
from evo_qnas.networks.export.onnx.compose import compose
from evo_qnas.networks.export.onnx.float_model import float_to_onnx
from evo_qnas.networks.export.onnx.sessions import open_session, optimized_operations, run
from evo_qnas.networks.export.onnx.translate import part_to_onnx, to_onnx
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from tests.networks.export.conftest import EIGHT
from tests.networks.export.test_segmentation import SIZE, DeepLabLike

BLOCKS = ("body", "project")


def images(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, *SIZE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network() -> QuantizedNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = DeepLabLike().eval()
    made = quantize(module, images()[:2], Policy(fixed=EIGHT, blocks=dict.fromkeys(BLOCKS, EIGHT)))
    made.calibrate([images()])
    return made


def block(module: nn.Module, channels: int, size: tuple[int, int], bits: Bits) -> onnx.ModelProto:
    sample = torch.randn(4, channels, *size, generator=torch.Generator().manual_seed(1))
    made = quantize(module.eval(), sample[:2], Policy(fixed=bits))
    made.calibrate([sample])
    return part_to_onnx(made, Part(codes=True))


def saved(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("bits", [EIGHT, Bits(weight=3, activation=4)], ids=["8", "fewer"])
def test_a_block_has_codes_in_and_out(bits: Bits, tmp_path: Path) -> None:
    model = block(DeepLabLike().body, 8, (12, 20), bits)
    tensors = [*model.graph.input, *model.graph.output]
    assert [(tensor.name, tensor.type.tensor_type.elem_type) for tensor in tensors] == [("image", 2), ("logits", 2)]
    operations = optimized_operations(saved(model, tmp_path / "block.onnx"))
    assert operations["QLinearConv"] == 6
    assert operations["QLinearAdd"] == 1
    assert not {"QuantizeLinear", "DequantizeLinear", "Conv"} & set(operations)
    # Few activation bits limit codes: one operation more for each tensor, which takes time.
    assert (operations["Clip"] > 0) == (bits.activation < 8)


def test_the_fixed_part_reads_the_outputs_of_blocks(network: QuantizedNetwork, tmp_path: Path) -> None:
    model = part_to_onnx(network, Part(blocks=BLOCKS))
    assert [tensor.name for tensor in model.graph.input] == ["image", "from_body", "from_project"]
    assert len(model.graph.output) == 3
    whole = optimized_operations(saved(to_onnx(network), tmp_path / "whole.onnx"))
    part = optimized_operations(saved(model, tmp_path / "part.onnx"))
    assert (whole["QLinearConv"], part["QLinearConv"]) == (15, 8)


def test_parts_together_are_the_whole_network(network: QuantizedNetwork, tmp_path: Path) -> None:
    """With the teacher's own blocks the same kernels in the same number; other operators in their place run as well."""
    fixed = part_to_onnx(network, Part(blocks=BLOCKS))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = DeepLabLike().eval()
    project = block(module.project, 32, (6, 10), EIGHT)
    made = compose(fixed, {"body": block(module.body, 8, (12, 20), EIGHT), "project": project})
    path = saved(made, tmp_path / "made.onnx")
    assert optimized_operations(path) == optimized_operations(saved(to_onnx(network), tmp_path / "whole.onnx"))
    assert run(open_session(path), images().numpy()).shape == (4, 5, 12, 20)
    assert len({tensor.name for tensor in made.graph.initializer}) == len(made.graph.initializer)
    other = nn.Sequential(nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.ReLU())
    fewer = compose(fixed, {"body": block(other, 8, (12, 20), Bits(weight=3, activation=4)), "project": project})
    found = optimized_operations(saved(fewer, tmp_path / "fewer.onnx"))
    assert (found["QLinearConv"], found["Conv"], found["Clip"]) == (10, 0, 1)


def test_a_block_that_does_nothing_hands_its_input_on(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 3, 1))
    sample = torch.randn(4, 1, 5, 5)
    network = quantize(module, sample[:2], Policy(fixed=EIGHT, blocks={"1": EIGHT}))
    network.calibrate([sample])
    made = compose(part_to_onnx(network, Part(blocks=("1",))), {"1": None})
    assert optimized_operations(saved(made, tmp_path / "m.onnx"))["QLinearConv"] == 2
    with pytest.raises(NetworkError, match="does not know the block 'x': it has 1"):
        compose(part_to_onnx(network, Part(blocks=("1",))), {"x": None})


def test_a_float_network_gives_what_torch_gives(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = DeepLabLike().eval()
    path = saved(float_to_onnx(module, images(), upsample=True), tmp_path / "float.onnx")
    with torch.no_grad():
        target = module(images()).numpy()
    np.testing.assert_allclose(run(open_session(path), images().numpy()), target, atol=1e-5)
    small = saved(float_to_onnx(module, images()), tmp_path / "small.onnx")
    assert run(open_session(small), images().numpy()).shape == (4, 5, 12, 20)
    head = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)).eval()
    sample = torch.randn(4, 1, 6, 6)
    with torch.no_grad():
        target = head(sample).numpy()
    found = run(open_session(saved(float_to_onnx(head, sample), tmp_path / "head.onnx")), sample.numpy())
    np.testing.assert_allclose(found, target, atol=1e-6)
