"""The operation of a user's own that docs/extending.md shows."""

import re
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from evo_qnas import registry
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.export.common.walk import walk
from evo_qnas.networks.export.onnx.runtime import OnnxRuntime
from tests.networks.export.conftest import quantized, written

PAGE = Path(__file__).resolve().parents[3] / "docs" / "extending.md"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the page, installed as a package's entry point."""
    text = re.search(r"```python\n(import torch\n.*?SHRINK = .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert text is not None
    module: Any = ModuleType("shrinking")
    exec(compile(text.group(1), "shrinking.py", "exec"), module.__dict__)
    monkeypatch.setitem(__import__("sys").modules, "shrinking", module)
    entry = EntryPoint(name="shrink", value="shrinking:SHRINK", group="evo_qnas.operations")
    registry._entries.cache_clear()
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == entry.group else [])
    yield module
    registry._entries.cache_clear()


def test_an_operation_of_a_users_own_goes_all_the_way(example: Any, tmp_path: Path) -> None:
    """Captured, quantized, trained and exported: torch computes it in the reference, Shrink in the file."""

    class Own(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return example.shrink(x, 0.25)

    sample = torch.randn(8, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    network = quantized(nn.Sequential(nn.Conv2d(2, 4, 1), Own(), nn.Conv2d(4, 3, 1)), sample)
    assert operation_of(torch.ops.mine.shrink.default) is example.SHRINK
    network(sample).square().mean().backward()
    assert float(network.layers[0].weight.grad.abs().sum()) > 0.0
    codes = OnnxRuntime().codes(network, written(network, tmp_path), sample.numpy())
    assert codes is not None
    found = walk(network, codes, sample)
    assert found.differing == {}
    assert found.float_operations == pytest.approx(1 / 3)
