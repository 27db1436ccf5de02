"""What precision a device computes in."""

from collections.abc import Iterator

import pytest
import torch

from evo_qnas.networks.acceleration.devices import Precision, autocast, multiplies_bfloat16


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a processor can do is asked once in a process."""
    multiplies_bfloat16.cache_clear()
    yield
    multiplies_bfloat16.cache_clear()


def dtype_of_products(precision: Precision) -> torch.dtype:
    one = torch.eye(2)
    with autocast(precision, "cpu"):
        return (one @ one).dtype


@pytest.mark.parametrize(
    ("known", "native"),
    [
        ({"avx512_bf16": True}, True),
        ({"bf16": True}, True),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({}, False),
    ],
)
def test_auto_is_bfloat16_where_the_processor_multiplies_it(
    known: dict[str, bool], native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert multiplies_bfloat16("cpu") is native
    assert dtype_of_products("auto") is (torch.bfloat16 if native else torch.float32)
    assert dtype_of_products("float32") is torch.float32
    assert dtype_of_products("bfloat16") is torch.bfloat16


def test_a_torch_that_cannot_tell_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not multiplies_bfloat16("cpu")
    assert dtype_of_products("auto") is torch.float32


@pytest.mark.skipif(torch.cuda.is_available(), reason="is for machines with no GPU")
def test_a_gpu_that_is_not_there_multiplies_nothing() -> None:
    assert not multiplies_bfloat16("cuda")
