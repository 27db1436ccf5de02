"""Whole files: several tensors, what the network keeps, refusals, batches in other orders."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.export import export
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.tasks.classification import Classification
from tests.networks.export.tflite.conftest import differing, made, outputs

EIGHT = Policy(fixed=Bits(weight=8, activation=8))


class Several(nn.Module):
    """Words, an image and a mask; a nesting of tensors, one of them twice; tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.linear = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
        self.linear.weight = self.words.weight
        self.convolution, self.shift = nn.Conv2d(3, 4, 3), nn.Parameter(torch.linspace(0.0, 1.0, 8))

    def forward(self, ids: torch.Tensor, image: torch.Tensor, mask: torch.Tensor) -> dict[str, object]:
        maps = self.convolution(image)
        words = self.linear(self.words(ids) + self.shift) * mask.unsqueeze(-1)
        return {"words": words, "maps": (maps, maps.mean((2, 3))), "again": maps}


def test_several_tensors_have_their_names_and_values() -> None:
    from ai_edge_litert import schema_py_generated as schema

    from evo_qnas.networks.export.tflite.translate import to_tflite

    generator = torch.Generator().manual_seed(2)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        module = Several().eval()
    examples = (
        torch.randint(0, 20, (4, 6), generator=generator),
        torch.randn(4, 3, 8, 7, generator=generator),
        torch.rand(4, 6, generator=generator) > 0.3,
    )
    network = quantize(module, examples, EIGHT)
    network.calibrate([examples])
    given, target = outputs(network, examples), run_in_integers(network, examples)
    assert list(given) == ["words", "maps.0", "maps.1", "again"]
    for name, tensor in zip(given, (target["words"], *target["maps"], target["again"]), strict=True):
        np.testing.assert_allclose(given[name], tensor.numpy(), atol=1e-6, err_msg=name)
    assert differing(network, examples) == {}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(to_tflite(network)))
    names = [tensor.name.decode() for tensor in model.subgraphs[0].tensors]
    assert [name for name in names if name.startswith("float.")] == ["float.shift"]
    assert sum(name.endswith(".codes") for name in names) == 2


class Odd(nn.Module):
    """Sorts, and looks among the sorted values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.sort(x, dim=1)[0]
        return first + torch.searchsorted(first.contiguous(), x)


def test_all_that_cannot_be_translated_is_named_with_its_line_at_once() -> None:
    examples = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    network = quantize(Odd(), examples, EIGHT)
    network.calibrate([examples])
    with pytest.raises(NetworkError, match=r"aten\.sort.*no translation to TFLite.*torch\.sort.*; .*searchsorted"):
        outputs(network, examples)


def test_axes_that_join_images_with_others_are_compared_in_their_order() -> None:
    """A linear layer on (length x images, channels): the images lie between the positions of the first axis."""
    layers = {"behind": lambda: nn.Sequential(nn.LayerNorm(8), _Folded())}
    network, examples = made({}, (5, 8), layers)
    assert differing(network, examples) == {}


class _Folded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        folded = self.linear(x.transpose(0, 1).reshape(-1, 8))
        return torch.nn.functional.gelu(folded).view(5, -1, 8).transpose(0, 1)


def test_a_network_in_floats_passes_its_checks(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        module = nn.Sequential(
            nn.Conv2d(3, 8, 4, 4), nn.SiLU(), nn.GroupNorm(2, 8), nn.Flatten(2), nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        )
        head = nn.Sequential(module, nn.Flatten(), nn.Linear(32, 3)).eval()
        pixels = torch.randn(8, 3, 8, 8)
    network = quantize(head, pixels[:2], EIGHT)
    network.calibrate([pixels])
    images = Images(pixels=pixels, labels=torch.zeros(8, dtype=torch.int64))
    entry = export(network, tmp_path / "m.tflite", images=images, task=Classification(), latency=False)
    assert entry["failures"] == []
    assert entry["floats"]["differing"] == {}
    assert entry["floats"]["float_operations"] > 0.3
