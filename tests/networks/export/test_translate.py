"""The ONNX file: kernels, packed weights, moved codes, float operations, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import parser
from torch import fx, nn
from torch.nn import functional

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.onnx import fallback
from evo_qnas.networks.export.onnx.builder import DOMAIN, GraphBuilder
from evo_qnas.networks.export.onnx.packed import unpack_function, weight_codes
from evo_qnas.networks.export.onnx.sessions import kernels, open_session, optimized_operations
from evo_qnas.networks.export.onnx.translate import to_onnx
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.packing import packed_bytes
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from tests.networks.export.conftest import in_runtime, quantized, quantized_teacher, random_network, written


@pytest.mark.parametrize(("weight", "activation"), [(8, 8), (3, 5)])
def test_every_layer_runs_in_an_integer_kernel(
    teacher: nn.Module, images: torch.Tensor, tmp_path: Path, weight: int, activation: int
) -> None:
    path = written(quantized_teacher(teacher, images, weight, activation), tmp_path)
    for exact in (True, False):
        found = kernels(path, exact=exact)
        assert found.integer_convolutions == found.convolutions == 11
        assert found.integer_linear == found.linear == 1
        left = optimized_operations(path, exact=exact)
        # Everything between the image and the logits is integers, and weights are unpacked at load.
        assert (left["QuantizeLinear"], left["DequantizeLinear"]) == (1, 1)
        assert not {"BitShift", "BitwiseAnd", "Unpack", "Add", "Relu"} & set(left)


def test_a_clip_stands_only_where_codes_are_limited(teacher: nn.Module, images: torch.Tensor) -> None:
    """At 8 bits the calibrated range of a ReLU6 ends at 6 or below, so uint8 itself is its limit."""
    eight = to_onnx(quantized_teacher(teacher, images, 8, 8))
    assert not [node for node in eight.graph.node if node.op_type == "Clip"]
    network = quantized_teacher(teacher, images, 8, 5)
    narrow = sum(quantizer.bits < 8 for quantizer in network.quantizers)
    assert sum(node.op_type == "Clip" for node in to_onnx(network).graph.node) == narrow > 0


@pytest.mark.parametrize("activation", [4, 8])
def test_a_relu6_below_the_range_of_codes_limits_them(tmp_path: Path, activation: int) -> None:
    """Codes reach from -1.0 or -0.1 to 6.5 or 12.65: the clip must cut at the codes of 0.0 and 6.0, as torch does."""
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU6())
    network = quantized(module, torch.randn(4, 1, 4, 4), Bits(weight=8, activation=activation))
    network.layers[0].weight.data.fill_(1.0)
    network.quantizers[1].scale.set(torch.tensor([0.5 if activation == 4 else 0.05]))
    network.quantizers[1].zero_point = torch.tensor([2.0])
    network.quantizers[0].scale.set(torch.tensor([0.1]))
    network.quantizers[0].zero_point = torch.tensor([100.0])
    network.layers[0].scale.set(torch.tensor([0.01]))
    network.layers[0].bias.data.zero_()
    pixels = torch.linspace(-9, 14, 16).reshape(1, 1, 4, 4)
    given = in_runtime(written(network, tmp_path), pixels)
    assert (float(given.min()), float(given.max())) == (0.0, 6.0)
    assert torch.equal(given, run_in_integers(network, pixels))
    with torch.no_grad():
        assert torch.allclose(given, network(pixels), atol=1e-6)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("shape", [(5, 3, 3, 3), (1, 1, 1, 1), (8, 16)])
def test_packed_weights_come_back_code_by_code(tmp_path: Path, bits: int, shape: tuple[int, ...]) -> None:
    module = nn.Conv2d(shape[1], shape[0], shape[2]) if len(shape) == 4 else nn.Linear(shape[1], shape[0])
    example = torch.randn(4, shape[1], 5, 5) if len(shape) == 4 else torch.randn(4, shape[1])
    layer = quantized(module, example, Bits(weight=bits, activation=8)).layers[0]
    builder = GraphBuilder()
    name = weight_codes(builder, layer)
    stored = onnx.numpy_helper.to_array(builder.constants[f"{layer.name}.codes"])
    assert stored.nbytes == packed_bytes(int(np.prod(shape)), bits)
    builder.node("Identity", name, output="codes")
    helper = onnx.helper
    model = helper.make_model(
        helper.make_graph(
            builder.nodes,
            "unpack",
            [],
            [helper.make_tensor_value_info("codes", onnx.TensorProto.INT8, shape)],
            list(builder.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)],
        ir_version=8,
        functions=[unpack_function()],
    )
    path = tmp_path / "unpack.onnx"
    path.write_bytes(model.SerializeToString())
    codes = open_session(path).run(None, {})[0]
    assert codes.dtype == np.int8
    assert np.array_equal(codes, layer.weight_codes().numpy())


def test_any_batch_size_gives_the_same_logits(teacher: nn.Module, images: torch.Tensor, tmp_path: Path) -> None:
    path = written(quantized_teacher(teacher, images, 4, 8), tmp_path)
    whole = in_runtime(path, images[:7])
    assert torch.equal(torch.cat([in_runtime(path, images[i : i + 1]) for i in range(7)]), whole)
    dimensions = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dimensions] == ["n", 1, 8, 8]


@pytest.mark.usefixtures("exported_anew")
def test_the_same_network_gives_the_same_bytes(teacher: nn.Module, images: torch.Tensor) -> None:
    one, other = (to_onnx(quantized_teacher(teacher, images, 3, 8)) for _ in range(2))
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def test_steps_and_zero_points_of_tensors_have_no_axes(teacher: nn.Module, images: torch.Tensor) -> None:
    tensors = {t.name: t for t in to_onnx(quantized_teacher(teacher, images, 3, 8)).graph.initializer}
    steps = [t for name, t in tensors.items() if name.endswith((".step", ".zero_point"))]
    assert steps
    assert all(list(t.dims) == [] for t in steps)


def test_sums_of_large_products_are_not_cut_off(tmp_path: Path) -> None:
    """127 x 255 + 127 x 255 does not fit 16 bits, which is where processors without VNNI cut it off."""
    module = nn.Conv2d(64, 8, 1)
    network = quantized(module, torch.rand(8, 64, 4, 4))
    layer = network.layers[0]
    layer.weight.data = torch.full_like(layer.weight, 127 * 0.01)
    layer.scale.set(torch.full((8,), 0.01))
    network.quantizers[1].scale.set(torch.tensor([0.5]))
    network.quantizers[1].zero_point = torch.zeros(1)
    pixels = torch.full((2, 64, 4, 4), 1.0)
    wanted = run_in_integers(network, pixels)
    assert float(wanted.min()) > 0
    assert torch.equal(in_runtime(written(network, tmp_path), pixels), wanted)


class _Moves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.pad(x, (1, 0, 2, 1))
        x = self.first(x)
        x = functional.interpolate(functional.max_pool2d(x, 3, stride=2, padding=1), scale_factor=2.0)
        x = self.second(x.transpose(2, 3).permute(0, 1, 3, 2)[:, :, 1:, ::2])
        x = functional.pad(x, (1, 1, 0, 1), mode="replicate")
        return x.unsqueeze(1).squeeze(1).select(2, 1).contiguous().flatten(1)


def test_moved_values_are_moved_codes(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(16, 2, 8, 8, generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = quantized(_Moves(), sample, Bits(weight=5, activation=6))
    path = written(network, tmp_path)
    given = in_runtime(path, sample)
    assert given.unique().numel() > 5
    assert torch.equal(given, run_in_integers(network, sample))
    assert kernels(path).integer_convolutions == 2
    with torch.no_grad():
        assert float((given - network(sample)).abs().max()) <= 1.001 * float(network.quantizers[-1].scale().detach())


class _Floats(nn.Module):
    """What a network may compute between quantizers that is no convolution."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.first, self.step, self.second = nn.Conv2d(2, 4, 1), step, nn.Conv2d(4, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.step(self.first(x)))


class _Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.inner(x)


class _Sums(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([[[0.5]], [[1.0]], [[2.0]], [[-1.0]]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sub(x * self.factor + 0.25, x / 3.0, alpha=2)


STEPS = {
    "hardswish": nn.Hardswish(),
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "sigmoid": nn.Sigmoid(),
    "hardsigmoid": nn.Hardsigmoid(),
    "tanh": nn.Tanh(),
    "leaky": nn.LeakyReLU(0.2),
    "softmax": nn.Softmax(dim=1),
    "clamp": nn.Hardtanh(-0.5, 0.75),
    "mean pool": nn.AvgPool2d(3, stride=2, padding=1),
    "shares": nn.AdaptiveAvgPool2d(4),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "corners": nn.Upsample(size=(5, 7), mode="bilinear", align_corners=True),
    "norm first": nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4)),
    "gate": _Gate(),
    "sums": _Sums(),
}


@pytest.mark.parametrize("name", STEPS)
def test_float_operations_give_what_torch_gives(name: str, tmp_path: Path) -> None:
    """A tie may fall the other way after a float operation: one code, on few values.

    ONNX Runtime's integer softmax sums rounded exponentials from a table, so more of its codes are one off.
    """
    sample = torch.randn(16, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = quantized(_Floats(STEPS[name]), sample)
    path = written(network, tmp_path)
    with torch.no_grad():
        difference = (in_runtime(path, sample) - network(sample)).abs()
        step = float(network.quantizers[-1].scale())
    assert float(difference.max()) <= 2.001 * step
    assert float((difference > 1e-3 * step).float().mean()) < (0.3 if name == "softmax" else 0.01)
    assert kernels(path).integer_convolutions == kernels(path).convolutions


class _Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def test_a_mean_over_the_map_runs_in_integers(tmp_path: Path) -> None:
    sample = torch.randn(16, 2, 7, 7, generator=torch.Generator().manual_seed(0))
    path = written(quantized(nn.Sequential(nn.Conv2d(2, 3, 1), _Mean(), nn.Linear(3, 4)), sample), tmp_path)
    found = optimized_operations(path)
    assert (found["QLinearGlobalAveragePool"], found["ReduceMean"], found["QGemm"]) == (1, 0, 1)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_a_size_whose_share_is_rounded_down_keeps_its_last_row(mode: str, tmp_path: Path) -> None:
    """7 times float32(31 / 7) is 30.999998, of which a runtime would make 30."""
    sample = torch.randn(16, 2, 7, 7, generator=torch.Generator().manual_seed(0))
    network = quantized(nn.Sequential(nn.Upsample(size=(31, 31), mode=mode), nn.Conv2d(2, 2, 1)), sample)
    given = in_runtime(written(network, tmp_path), sample)
    with torch.no_grad():
        wanted, step = network(sample), float(network.quantizers[-1].scale())
    assert given.shape == wanted.shape
    assert float(((given - wanted).abs() > 1e-3 * step).float().mean()) < 0.01


def test_a_linear_layer_on_a_sequence_runs_as_a_matrix(tmp_path: Path) -> None:
    sample = torch.randn(16, 5, 6, generator=torch.Generator().manual_seed(0))
    network = quantized(
        nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)), sample, Bits(weight=4, activation=8)
    )
    path = written(network, tmp_path)
    assert torch.equal(in_runtime(path, sample), run_in_integers(network, sample))
    assert (kernels(path).linear, kernels(path).integer_linear) == (2, 2)


def test_an_uncalibrated_network_is_refused() -> None:
    network = quantize(nn.Conv2d(1, 1, 1), torch.zeros(2, 1, 4, 4), Policy(fixed=Bits(weight=8, activation=8)))
    with pytest.raises(NetworkError, match="not calibrated: call calibrate or restore"):
        to_onnx(network)


class _Kth(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.kthvalue(x, 2, 1)[0]


class _Chosen(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.roll(1)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (
            _Kth(),
            r"aten\.kthvalue\.default \(kthvalue, test_translate\.py:\d+\) has no ONNX translation here; .*pip install",
        ),
        (_Chosen(), "rolls a tensor as one row of values: name the axes"),
    ],
    ids=["unknown", "row"],
)
def test_what_cannot_be_exported_is_named(module: nn.Module, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "find_spec", lambda _name: None)
    sample = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    with pytest.raises(NetworkError, match=text):
        to_onnx(quantized(nn.Sequential(nn.Conv2d(2, 4, 1), module), sample))


def test_an_unknown_operation_is_taken_over_from_torchs_exporter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of the operation alone, as the exporter would make it, becomes a part of the file."""

    def exported(_node: fx.Node, _sources: list[fx.Node]) -> Any:
        return parser.parse_model(
            """
            <ir_version: 8, opset_import: ["": 18]>
            one (float[n, 4, 8, 8] x) => (float[n, 8, 8] values, int64[n, 8, 8] places) <int64[1] k = {2}>
            {
                sorted, all = TopK <axis = 1, largest = 0> (x, k)
                last = Constant <value = int64 {1}> ()
                values = Gather <axis = 1> (sorted, last)
                places = Gather <axis = 1> (all, last)
            }
            """
        )

    monkeypatch.setattr(fallback, "find_spec", lambda name: name)
    monkeypatch.setattr(fallback, "_exported", exported)
    sample = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    network = quantized(nn.Sequential(nn.Conv2d(2, 4, 1), _Kth()), sample)
    assert torch.equal(in_runtime(written(network, tmp_path), sample), run_in_integers(network, sample))


def test_torchs_exporter_gives_what_no_table_has(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra onnx-fallback: pip install 'evo-qnas[onnx-fallback]'")

    class Arsinh(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.asinh(x)

    sample = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    network = quantized(nn.Sequential(nn.Conv2d(2, 4, 1), Arsinh()), sample)
    apart = (in_runtime(written(network, tmp_path), sample) - run_in_integers(network, sample)).abs()
    assert float(apart.max()) <= 2.001 * float(network.quantizers[-1].scale().detach())


def test_random_networks_agree_with_torch(tmp_path: Path) -> None:
    network, pixels = random_network(3)
    with torch.no_grad():
        mine = network(pixels)
    agreement = (in_runtime(written(network, tmp_path), pixels).argmax(1) == mine.argmax(1)).float().mean()
    assert float(agreement) > 0.9
