"""Post-training quantization without a search."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import evo_qnas as eq
from evo_qnas.errors import NetworkError
from evo_qnas.networks.models.weights import load_weights
from evo_qnas.networks.quantization.policy import check_kept
from tests.study.conftest import FAST, Convolutions


def test_eight_bits_agree_and_few_bits_are_smaller(images: torch.Tensor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Convolutions(4)
    eight, three = (eq.quantize(model, images, weight_bits=bits) for bits in (8, 3))
    assert three.size_bytes < 0.6 * eight.size_bytes
    assert eight.parity() > 0.98
    assert three.parity() < eight.parity()
    assert 0.9 < eight.parity(images[:20]) <= 1.0
    assert eight(images[:2]).shape == (2, 4)
    assert "bytes" in eight._repr_html_()
    pytest.importorskip("onnxruntime")
    assert eight.export(tmp_path / "eight.onnx").failures == ()


@pytest.mark.parametrize(("rounding", "equalized"), [("compensated", True), ("adaptive", False)])
def test_codes_of_less_error_are_exported_as_they_are(
    images: torch.Tensor, tmp_path: Path, rounding: str, equalized: bool
) -> None:
    torch.manual_seed(0)
    model = Convolutions(4).eval()
    plain = eq.quantize(model, images, weight_bits=3)
    found = eq.quantize(model, images, weight_bits=3, rounding=rounding, equalized=equalized)
    with torch.no_grad():
        errors = [float((network(images) - model(images)).square().mean()) for network in (plain, found)]
    assert errors[1] < 0.8 * errors[0]
    pytest.importorskip("onnxruntime")
    assert found.export(tmp_path / "three.onnx").failures == ()


def test_the_model_stays_as_it_is(images: torch.Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    eq.quantize(model, images[:8])
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_what_is_kept_in_floats_is_rounded_nowhere(images: torch.Tensor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Convolutions(4).eval()
    plain, kept = (eq.quantize(model, images, weight_bits=3, keep_float=names) for names in ([], ["second*", "head"]))
    assert list(kept.quantized.float_parts) == [
        *("float.second.0.weight", "float.second.0.bias", "float.head.2.weight", "float.head.2.bias")
    ]
    assert len(plain.quantized.layers) - len(kept.quantized.layers) == 2
    assert [quantizer.name for quantizer in kept.quantized.quantizers] == ["image", "relu", "relu_1"]
    in_floats = 4 * sum(part.numel() for name in ("second", "head") for part in getattr(model, name).parameters())
    assert in_floats < kept.size_bytes < in_floats + plain.size_bytes
    given: dict[str, torch.Tensor] = {}
    wanted: dict[str, torch.Tensor] = {}
    handle = model.first.register_forward_hook(lambda _, __, output: given.update(codes=output))
    with torch.no_grad():
        model(images[:4])
        codes = kept.quantized.quantizers[2](given["codes"])
        wanted["floats"] = model.head(model.second(codes))
    handle.remove()
    # The kept part is the float model's own, on codes a rounding away from those of the float model.
    close, far = (float((net(images[:4]) - wanted["floats"]).abs().max()) for net in (kept, plain))
    assert close < far
    pytest.importorskip("onnxruntime")
    assert kept.export(tmp_path / "kept.onnx").failures == ()


@pytest.mark.parametrize(
    ("blocks", "pattern", "match"),
    [
        ([], "haed.*", r"keep_float = 'haed\.\*' names nothing outside the blocks: .*head"),
        (
            ["first"],
            "first.0",
            r"'first\.0' names nothing outside the blocks: it lies in a block, whose",
        ),
    ],
)
def test_patterns_that_keep_nothing(blocks: list[str], pattern: str, match: str) -> None:
    with pytest.raises(NetworkError, match=match):
        check_kept(Convolutions(2), blocks, [pattern])


def test_a_study_keeps_floats_and_counts_them(images: torch.Tensor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"train": images, "blocks": ["first"], "operators": ["identity"], **FAST}
    kept = eq.Study(Convolutions(4), keep_float=["head.*"], folder=tmp_path, **settings).run("networks", jobs=1)
    whole = next(network for network in kept.state.networks if network.id == "teacher_int8")
    assert whole.size_bytes == kept.tables.total("size_bytes", np.array([whole.genome]))[0]
    assert "float.head.2.weight" in load_weights(kept.folder / "networks" / whole.id / "weights.safetensors")[0]
