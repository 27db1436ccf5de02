"""The dry run of live networks: what goes through, and what does not, with its line of code."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.blocks import find_blocks
from evo_qnas.networks.candidates.operators import Operator, load_operators
from evo_qnas.networks.checking import DryRun, QuantizabilityReport, check
from evo_qnas.networks.checking.census import census
from evo_qnas.networks.export import RUNTIMES
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from tests.networks.checking import stubborn

EXAMPLE = torch.linspace(-2.0, 2.0, 128).view(2, 1, 8, 8)


def line_in(code: str) -> str:
    """File, number and text of the line of `stubborn` that starts with `code`."""
    lines = Path(stubborn.__file__).read_text(encoding="utf-8").splitlines()
    number = next(index for index, line in enumerate(lines, start=1) if line.strip().startswith(code))
    return f"stubborn.py:{number}: {code}"


@pytest.mark.parametrize(
    ("kind", "operation", "code", "way_out"),
    [
        (stubborn.Halving, "decides by values", "while x.abs().mean() > 0.5", "torch.where"),
        (stubborn.StraightThrough, "Sign has a gradient of its own", "signs: torch.Tensor", "torch's own operations"),
        (stubborn.OwnOperation, "stubborn.double.default is no operation", "x = self.middle(", "docs/extending.md"),
        (stubborn.OnTheHost, "numpy", "return torch.from_numpy(", "outside the network"),
        (stubborn.Raising, "KeyError", "raise KeyError(", "evaluation mode"),
    ],
)
def test_what_cannot_go_through_is_named_with_its_line_and_the_way_out(
    kind: type[nn.Module], operation: str, code: str, way_out: str
) -> None:
    report = check(kind(), EXAMPLE, blocks=["body"] if kind is not stubborn.Raising else ())
    assert not report.fits
    sentence = report.refusals[0].sentence
    assert operation in sentence
    assert line_in(code) in sentence
    assert way_out in sentence
    with pytest.raises(NetworkError, match=r"^the network cannot go through"):
        report.require()


def test_nothing_is_printed_for_a_network_that_cannot_be_captured(capfd: pytest.CaptureFixture[str]) -> None:
    check(stubborn.Halving(), EXAMPLE)
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def plain() -> QuantizabilityReport:
    model = stubborn.Plain().train()
    (depthwise,) = load_operators("depthwise_separable", {"kernel": [3], "depth": [1]})
    report = check(model, EXAMPLE, blocks=["body"], operators=[depthwise, *load_operators("identity", {})])
    assert not any(module.training for module in model.modules())
    return report


def test_a_row_for_each_kind_of_operation(plain: QuantizabilityReport) -> None:
    assert plain.fits
    plain.require()
    rows = {row.operation: row for row in plain.rows}
    assert [(name, row.number) for name, row in rows.items()] == [
        ("input", 1),
        ("conv2d", 2),
        ("relu", 1),
        ("mean", 1),
        ("linear", 1),
    ]
    # 8 x 8 positions times 3 x 3 taps times 4 outputs times 1, then 4 inputs; 4 x 10 for the linear layer.
    assert (rows["conv2d"].macs, rows["linear"].macs) == (64 * 9 * 4 * (1 + 4), 40)
    assert sum(row.macs_share for row in plain.rows) == pytest.approx(1.0)
    assert sum(row.bytes_share for row in plain.rows) == pytest.approx(1.0)
    for name in plain.runtimes:
        assert {row.runtimes[name] for row in plain.rows} <= {"in integers", "in float"}
        assert rows["conv2d"].runtimes[name] == "in integers"
    # The network, one operator (an identity has nothing to try), and the two assembled.
    assert plain.networks == 3


def test_rows_count_every_byte_and_multiplication() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu").eval()
    network = quantize(layer, torch.randn(2, 5, 8), Policy(fixed=Bits(weight=4, activation=8)))
    rows = census(network, {}, {})
    costs = costs_of(network, 8)
    assert sum(row.size_bytes for row in rows) == costs.size_bytes
    assert sum(row.macs for row in rows) == costs.macs
    assert {row.operation for row in rows} >= {"linear", "layer_norm", "gelu", "input"}
    assert next(row for row in rows if row.operation == "layer_norm").size_bytes >= 2 * 2 * 8 * 4


def test_the_report_is_a_table_and_json(plain: QuantizabilityReport) -> None:
    frame = plain.to_dataframe()
    assert list(frame["operation"]) == [row.operation for row in plain.rows]
    assert set(plain.runtimes) <= set(frame.columns)
    content = json.loads(json.dumps(plain.to_dict()))
    assert content["fits"] is True
    assert QuantizabilityReport.from_dict(content) == plain
    assert str(plain).splitlines()[0] == plain.headline
    assert plain.headline.startswith("goes through")
    assert str(plain).splitlines()[1].split()[:4] == ["operation", "number", "MACs", "bytes"]
    with pytest.raises(ValueError, match=r"no quantizability report"):
        QuantizabilityReport.from_dict({"rows": []})


def test_a_candidate_that_cannot_go_through_is_left_out() -> None:
    operators = [
        Operator(label="signs", builder=lambda _shape: _Signs(), parameters={}),
        Operator(label="doubles", builder=lambda _shape: _Doubles(), parameters={}),
        Operator(label="plain", builder=lambda _shape: nn.Conv2d(4, 4, 1), parameters={}),
    ]
    report = check(stubborn.Plain(), EXAMPLE, blocks=["body"], operators=operators)
    assert report.fits
    assert [(each.block, each.operator) for each in report.left_out] == [("body", "signs"), ("body", "doubles")]
    assert "Sign has a gradient of its own" in report.left_out[0].sentence
    assert "stubborn.double.default" in report.left_out[1].sentence


@pytest.mark.skipif(bool(RUNTIMES.get("tflite").missing()), reason="needs the extra tflite")
def test_a_choice_in_floats_that_a_runtime_refuses_is_left_out_alone() -> None:
    teacher = stubborn.Plain().eval()
    report = DryRun(
        teacher=teacher,
        example=EXAMPLE,
        fixed=Bits(weight=8, activation=8),
        few=Bits(weight=8, activation=8),
        shapes=find_blocks(teacher, ["body"], EXAMPLE),
        candidates={"body": {"plain": nn.Conv2d(4, 4, 1)}},
        binding=["tflite"],
        float_bits=[16],
    ).report()
    assert report.fits
    assert [(each.operator, each.floats) for each in report.left_out] == [("teacher", True), ("plain", True)]
    sentence = r"operator 'plain' is left out of block 'body' in floats: .*convolution.* has no translation to TFLite"
    assert re.search(sentence, report.left_out[1].sentence)
    assert QuantizabilityReport.from_dict(report.to_dict()).left_out == report.left_out


class _Signs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.reading = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        signs: torch.Tensor = stubborn.Sign.apply(self.reading(x))  # type: ignore[no-untyped-call]
        return signs


class _Doubles(_Signs):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        doubled: torch.Tensor = stubborn.double(self.reading(x))
        return doubled


def test_what_runtimes_refuse_that_are_not_asked_for_is_only_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_keywords: object) -> None:
        raise NetworkError("aten.relu.default (relu) has no translation on Mondays")

    installed = [name for name, runtime in RUNTIMES.items() if not runtime.missing()]
    if len(installed) < 2:
        pytest.skip("needs two runtimes")
    asked, other = installed[:2]
    monkeypatch.setattr(type(RUNTIMES.get(other)), "write", refuse)
    report = check(stubborn.Plain(), EXAMPLE, runtimes=[asked])
    assert report.fits
    assert (report.binding, len(report.remarks)) == ((asked,), 1)
    row = next(row for row in report.rows if row.operation == "relu")
    assert (row.runtimes[asked], row.runtimes[other]) == ("in integers", "not at all")
    assert "Mondays" in row.reasons[other]
    assert "Mondays" in str(report)
    refused = check(stubborn.Plain(), EXAMPLE, runtimes=[other])
    assert not refused.fits
    assert refused.refusals[0].operation == "relu"
    assert line_in("self.body = ").split(":")[0] in refused.refusals[0].line


def test_candidates_of_one_structure_are_tried_once() -> None:
    made = [Operator(label=f"w{w}", builder=lambda _shape, w=w: _wide(w), parameters={}) for w in (4, 8, 16)]
    report = check(stubborn.Plain(), EXAMPLE, blocks=["body"], operators=made)
    assert report.networks == 3
    other = Operator(label="dilated", builder=lambda _shape: _wide(4, dilation=2), parameters={})
    assert check(stubborn.Plain(), EXAMPLE, blocks=["body"], operators=[*made, other]).networks == 4


def _wide(width: int, dilation: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(4, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 4, 3, padding=1, dilation=1), *_more(dilation)
    )


def _more(dilation: int) -> list[nn.Module]:
    return [] if dilation == 1 else [nn.Conv2d(4, 4, 3, padding=dilation, dilation=dilation)]


def test_a_deeper_stack_of_layers_that_went_through_is_not_tried_again() -> None:
    operators = load_operators("inverted_residual", {"kernel": [3], "expansion": [2], "depth": [1, 2, 3]})
    assert check(stubborn.Plain(), EXAMPLE, blocks=["body"], operators=operators).networks == 3
    with_another_layer = load_operators("inverted_residual", {"kernel": [3], "expansion": [1, 2], "depth": [1, 2]})
    assert check(stubborn.Plain(), EXAMPLE, blocks=["body"], operators=with_another_layer).networks == 4


def test_stacks_of_layers_that_do_not_go_through_are_each_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_sums(_runtime: object, network: QuantizedNetwork, path: Path) -> None:
        if any(node.target is torch.ops.aten.add.Tensor for node in network.graph.graph.nodes):
            raise NetworkError("no sums")

    name = next(name for name, runtime in RUNTIMES.items() if not runtime.missing())
    monkeypatch.setattr(type(RUNTIMES.get(name)), "write", refuse_sums)
    monkeypatch.setattr(type(RUNTIMES.get(name)), "runs", False)
    operators = load_operators("inverted_residual", {"kernel": [3], "expansion": [2], "depth": [1, 2]})
    report = check(stubborn.Plain(), EXAMPLE, blocks=["body"], operators=operators, runtimes=[name])
    assert [each.operator for each in report.left_out] == ["ir_k3_e2_d1", "ir_k3_e2_d2"]
