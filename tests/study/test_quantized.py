"""Post-training quantization without a search."""

from pathlib import Path

import pytest
import torch
from torch import nn

import evo_qnas as eq
from tests.study.conftest import Convolutions


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


def test_the_model_stays_as_it_is(images: torch.Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    eq.quantize(model, images[:8])
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
