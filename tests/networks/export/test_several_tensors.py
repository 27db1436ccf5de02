"""ONNX files of networks with several tensors, fixed batches and shared weights."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

from evo_qnas.data import Examples
from evo_qnas.data.nests import Structure
from evo_qnas.metrics import per_example
from evo_qnas.networks.capture.exporting import Example, arguments_of_example
from evo_qnas.networks.export import CheckSettings, export
from evo_qnas.networks.export.common.parity import InRuntime
from evo_qnas.networks.export.onnx.sizes import file_sizes
from evo_qnas.networks.export.runtime import RUNTIMES
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.tasks.measured import MeasuredTask

pytest.importorskip("onnxruntime")


def check(module: nn.Module, example: Example, folder: Path, *, bits: int = 8, exact: bool = True) -> Any:
    """The session of a file that gives what the integer reference gives, and holds `size_bytes`."""
    network = quantize(module.eval(), example, Policy(fixed=Bits(weight=bits, activation=8)))
    network.calibrate([example])
    runtime, path = RUNTIMES.get("onnx"), folder / "network.onnx"
    runtime.write(network, path)
    session = runtime.open(path)
    arguments, keywords = arguments_of_example(example)
    with torch.no_grad():
        given = InRuntime(partial(runtime.run, session), network)(*arguments, **keywords)
        wanted = run_in_integers(network, example)
    leaves, structure = pytree.tree_flatten(given)
    targets, nesting = pytree.tree_flatten(wanted)
    assert structure == nesting
    for leaf, target in zip(leaves, targets, strict=True):
        step = 0.0 if exact or not target.is_floating_point() else float(network.quantizers[-1].scale().detach()) * 1.01
        assert leaf is target or float((leaf.float() - target.float()).abs().max()) <= step
    assert file_sizes(path).packed == costs_of(network, 8).size_bytes
    return session


class _Two(nn.Module):
    """A map and tokens in, a dict of tensors out, one of them of whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.rows = nn.Conv2d(3, 4, 1), nn.Embedding(9, 4)

    def forward(self, x: torch.Tensor, ids: torch.Tensor, flag: bool | None = None) -> dict[str, Any]:
        y = self.conv(x) + self.rows(ids)[:, :, None, None]
        return {"map": y, "more": (y.mean((2, 3)), y.argmax(1)), "none": None}


@pytest.mark.parametrize("named", [False, True])
def test_inputs_are_named_as_arguments_and_outputs_as_paths(tmp_path: Path, named: bool) -> None:
    torch.manual_seed(0)
    x, ids = torch.randn(5, 3, 4, 4), torch.randint(0, 9, (5,))
    session = check(_Two(), {"x": x, "ids": ids} if named else (x, ids), tmp_path)
    assert [(entry.name, entry.shape) for entry in session.get_inputs()] == [("x", ["n", 3, 4, 4]), ("ids", ["n"])]
    assert [entry.name for entry in session.get_outputs()] == ["map", "more.0", "more.1"]


def test_a_dict_of_one_output_is_called_logits(tmp_path: Path) -> None:
    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: torch.Tensor) -> dict[str, list[torch.Tensor]]:
            first, second = self.conv(x).chunk(2, 1)
            return {"out": [first + second]}

    session = check(One(), torch.randn(4, 3, 5, 5), tmp_path)
    assert [entry.name for entry in session.get_outputs()] == ["logits"]


def test_a_file_of_one_example_runs_on_any_number(tmp_path: Path) -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.conv(x[row : row + 1]) for row in range(len(x))])

    session = check(Loop(), torch.randn(3, 3, 5, 5), tmp_path)
    assert session.get_inputs()[0].shape == [1, 3, 5, 5]


@pytest.mark.parametrize("bits", [4, 8])
def test_a_module_called_twice_is_stored_once(tmp_path: Path, bits: int) -> None:
    conv = nn.Conv2d(4, 4, 3, padding=1)
    check(nn.Sequential(conv, nn.ReLU(), conv), torch.randn(4, 4, 5, 5), tmp_path, bits=bits)


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("bits", [4, 8])
def test_transposed_convolutions(tmp_path: Path, groups: int, bits: int) -> None:
    module = nn.Sequential(nn.ConvTranspose2d(8, 4, 3, stride=2, groups=groups, output_padding=1), nn.ReLU())
    check(module, torch.randn(4, 8, 5, 5), tmp_path, bits=bits, exact=False)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_recurrent_modules(tmp_path: Path, kind: Any) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = kind(6, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.head(self.inner(x)[0][:, -1])
            return result

    torch.manual_seed(0)
    check(Recurrent(), torch.randn(8, 4, 6), tmp_path, exact=False)


def test_tied_embeddings(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows, self.head = nn.Embedding(20, 8), nn.Linear(8, 20)
            self.head.weight = self.rows.weight

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.head(self.rows(ids).relu())
            return result

    check(Tied(), torch.randint(0, 20, (4, 6)), tmp_path)


class _Pairs(Examples):
    """Made inputs of two kinds."""

    def __len__(self) -> int:
        return 6

    def take(self, chosen: Any) -> tuple[Any, Any]:
        made = torch.Generator().manual_seed(0)
        x, ids = torch.randn(6, 3, 4, 4, generator=made), torch.randint(0, 9, (6,), generator=made)
        return (x[chosen], ids[chosen]), ids[chosen]

    @property
    def sample(self) -> Any:
        return self.take(slice(0, 1))[0]


def _error(outputs: Any, targets: Any) -> torch.Tensor:
    return (outputs["map"].mean((1, 2, 3)) - targets).abs()


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_every_check_takes_nests(tmp_path: Path, name: str) -> None:
    runtime = RUNTIMES.get(name)
    if runtime.missing():
        pytest.skip(f"needs {runtime.install}")
    torch.manual_seed(0)
    examples, module = _Pairs(), _Maps().eval()
    inputs = examples.take(slice(0, 6))[0]
    network = quantize(module, inputs, Policy(fixed=Bits(weight=8, activation=8)))
    network.calibrate([inputs])
    task = MeasuredTask(measure=per_example(_error), structure=Structure.of(module(*inputs)))
    entry = export(network, tmp_path / "two", runtime, images=examples, task=task)
    assert entry["failures"] == []
    assert entry["metric"] == pytest.approx(entry["torch_metric"], rel=1e-2)
    assert entry["latency_ms"] > 0.0
    assert entry.get("reference_equal") in {True, None}
    other = network.clone()
    other.restore(network.stored())
    other.layers[0].weight.data[0] += 1.0
    checked = runtime.check(other, tmp_path / "two", CheckSettings(images=examples, task=task, latency=False))
    assert checked["failures"] != []


class _Maps(_Two):
    """The maps and their means alone."""

    def forward(self, x: torch.Tensor, ids: torch.Tensor, flag: bool | None = None) -> dict[str, Any]:
        given = super().forward(x, ids)
        return {"map": given["map"], "more": [given["more"][0]]}
