"""Operations: one registry, and one of another package in a single file and an entry point."""

from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx, nn

from evo_qnas import registry
from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ACTIVATIONS, ATEN, CONVOLUTIONS, LAYOUT, capture, limits_of
from evo_qnas.networks.capture.operations.integers import Pending, Reals
from evo_qnas.networks.capture.operations.operation import Operation, Role
from evo_qnas.networks.capture.operations.registry import OPERATIONS, operation_of, stays_in_floats
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.testing import OperationContract
from tests.plugin.squares_plugin.fliplr import __name__ as PLUGIN_MODULE  # noqa: N812

# A threshold of 0 is a ReLU.
THRESHOLD = Operation(
    name="threshold",
    role=Role.ACTIVATION,
    overloads=(ATEN.threshold.default,),
    limits=lambda _node: (0.0, float("inf")),
)


def _tan_in_integers(_node: fx.Node, arguments: Sequence[Any]) -> Pending:
    return Pending(Reals(np.tan(arguments[0].floats), exact=False))


def _tan_to_onnx(builder: Any, _node: fx.Node, arguments: Sequence[Any]) -> Any:
    from evo_qnas.networks.export.onnx.values import Floats

    return Floats(name=builder.node("Tan", arguments[0]))


TAN = Operation(
    name="tan",
    role=Role.FUNCTION,
    overloads=(ATEN.tan.default,),
    integer=_tan_in_integers,
    translations={"onnx": _tan_to_onnx},
)


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that registers the operations above."""
    entries = [
        EntryPoint(
            name=name,
            value=f"{PLUGIN_MODULE if name == 'fliplr' else __name__}:{name.upper()}",
            group="evo_qnas.operations",
        )
        for name in ("fliplr", "threshold", "tan")
    ]
    registry._entries.cache_clear()
    monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == entries[0].group else [])
    yield
    registry._entries.cache_clear()


class _Fliplr(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.fliplr()


class TestFliplr(OperationContract):
    name = "fliplr"

    def make_module(self) -> nn.Module:
        return _Fliplr()

    def test_integers_equal_the_floats(self) -> None:
        network, images = self.make_network()
        with torch.no_grad():
            assert torch.equal(run_in_integers(network, images), network(images))

    def test_tflite_takes_it_too(self) -> None:
        pytest.importorskip("ai_edge_litert")
        from evo_qnas.networks.export.tflite.translate import to_tflite

        network, _ = self.make_network()
        assert b"reverse_v2" in to_tflite(network)


class _Tan(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.tan()


class TestTan(OperationContract):
    name = "tan"

    def make_module(self) -> nn.Module:
        return _Tan()


class TestThreshold(OperationContract):
    name = "threshold"

    def make_module(self) -> nn.Module:
        return nn.Threshold(0.0, 0.0)


class TestHardtanh(OperationContract):
    name = "hardtanh"

    def make_module(self) -> nn.Module:
        return nn.ReLU6(inplace=True)


class TestMaxPool2d(OperationContract):
    name = "max_pool2d"

    def make_module(self) -> nn.Module:
        return nn.MaxPool2d(2)


class TestMean(OperationContract):
    name = "adaptive_avg_pool2d"

    def make_module(self) -> nn.Module:
        return nn.AdaptiveAvgPool2d(1)


class TestHardswish(OperationContract):
    name = "hardswish"

    def make_module(self) -> nn.Module:
        return nn.Hardswish()


def test_every_operation_of_ours_has_its_name_and_overloads_of_its_own() -> None:
    overloads = [overload for name, operation in OPERATIONS.items() for overload in operation.overloads]
    assert all(operation.name == name for name, operation in OPERATIONS.items())
    assert len(overloads) == len(set(overloads))


def test_the_sets_of_a_role_have_those_of_other_packages() -> None:
    assert ATEN.fliplr.default in LAYOUT
    assert ATEN.threshold.default in ACTIVATIONS
    assert {ATEN.conv2d.default, ATEN.conv2d.padding, ATEN.conv1d.default} <= set(CONVOLUTIONS)
    assert {ATEN.relu_.default, ATEN.clamp.default, ATEN.clamp_min_.default} <= set(ACTIVATIONS)
    assert "no operation" not in LAYOUT


def test_runtimes_translate_registered_operations_alone() -> None:
    from evo_qnas.networks.export.onnx.floats import FLOAT_TABLE
    from evo_qnas.networks.export.onnx.layout import LAYOUT_TABLE
    from evo_qnas.networks.export.tflite.layout import LAYOUT_TABLE as TFLITE_LAYOUT
    from evo_qnas.networks.export.tflite.operations import OPERATION_TABLE

    for table in (LAYOUT_TABLE, TFLITE_LAYOUT):
        assert all(target in LAYOUT for target in table)
    for others in (FLOAT_TABLE, OPERATION_TABLE):
        assert all(operation_of(target) is not None and target not in LAYOUT for target in others)


@pytest.mark.parametrize(
    ("module", "limits"),
    [
        (nn.ReLU(), (0.0, float("inf"))),
        (nn.ReLU6(inplace=True), (0.0, 6.0)),
        (nn.Hardtanh(-1.0, 0.5), (-1.0, 0.5)),
        (nn.Hardtanh(), (-1.0, 1.0)),
    ],
)
def test_limits_of_activations(module: nn.Module, limits: tuple[float, float]) -> None:
    nodes = [node for node in capture(module, torch.zeros(2, 3)).graph.nodes if node.target in ACTIVATIONS]
    assert [limits_of(node) for node in nodes] == [limits]


def test_a_node_without_limits_is_named() -> None:
    (node,) = [n for n in capture(nn.Flatten(), torch.zeros(2, 3, 2)).graph.nodes if n.op == "call_function"]
    with pytest.raises(NetworkError, match=r"aten\.\w+\.\w+ \(\w+\) cuts nothing to limits"):
        limits_of(node)


def test_limits_belong_to_activations() -> None:
    with pytest.raises(NetworkError, match=r"operation 'odd' is of role layout: limits belong to activations"):
        Operation(name="odd", role=Role.LAYOUT, overloads=(ATEN.flip.default,), limits=lambda _node: (0.0, 1.0))
    with pytest.raises(NetworkError, match=r"operation 'none' has no overloads"):
        Operation(name="none", role=Role.LAYOUT, overloads=())


def test_an_overload_of_two_operations_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [EntryPoint(name="relu_again", value=f"{__name__}:AGAIN", group="evo_qnas.operations")]
    registry._entries.cache_clear()
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    with pytest.raises(NetworkError, match=r"aten\.relu\.default belongs to two operations, 'relu' and 'relu_again'"):
        operation_of(ATEN.relu.default)


AGAIN = Operation(
    name="relu_again", role=Role.ACTIVATION, overloads=(ATEN.relu.default,), limits=lambda _node: (0.0, 1.0)
)


def test_an_operation_nobody_registered_is_computed_in_floats() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.logcumsumexp(1)

    images = torch.randn(4, 3)
    network = quantize(Odd(), images, Policy(fixed=Bits(weight=8, activation=8)))
    network.calibrate([images])
    with torch.no_grad():
        apart = (run_in_integers(network, images) - network(images)).abs()
    assert float(apart.max()) <= 1.001 * float(network.quantizers[-1].scale().detach())


def test_reshaping_copies_nothing_and_choosing_values_does() -> None:
    names = {name for name, operation in OPERATIONS.items() if operation.role is Role.LAYOUT and not operation.copies}
    assert {"flatten", "view", "reshape", "squeeze", "unsqueeze", "contiguous", "alias", "dropout"} <= names
    assert not names & {"permute", "transpose", "slice", "max_pool2d", "pad", "expand"}


class _Scores(nn.Module):
    """A view that a softmax reads, and a sum as well where both are asked for."""

    def __init__(self, *, both: bool) -> None:
        super().__init__()
        self.both = both

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x.reshape(-1, 12)
        return (y.softmax(1), y + 1.0) if self.both else (y.softmax(1),)


@pytest.mark.parametrize("both", [False, True])
def test_a_view_stays_in_floats_where_all_its_readers_take_floats(both: bool) -> None:
    graph = capture(_Scores(both=both), torch.randn(2, 3, 4))
    (softmax,) = [node for node in graph.graph.nodes if "softmax" in str(node.target)]
    assert stays_in_floats(softmax.args[0]) is not both
