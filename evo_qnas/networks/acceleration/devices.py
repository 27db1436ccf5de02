"""Devices and memory layouts in which modules train, and settings of processes that train."""

import ctypes
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Literal

import torch
from torch import nn

from evo_qnas.data.nests import mapped, moved

# Parameters of glibc's <malloc.h>, and the largest value that they take: memory is never handed back.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST = 2**31 - 1

# Of `torch.cpu.get_capabilities`: instructions that multiply bfloat16 as they are, of x86 and of ARM.
_BFLOAT16 = ("amx_bf16", "avx512_bf16", "sve_bf16", "bf16")

Precision = Literal["float32", "bfloat16", "auto"]


def to_training(module: nn.Module, device: str) -> nn.Module:
    """`module`, moved in place to `device` and laid out channel by channel (CPU convolutions: 1.7 times as fast)."""
    module.to(device)
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch's types know no memory formats


def to_rest(module: nn.Module) -> nn.Module:
    """`module`, moved in place to the CPU, in the plain layout and in evaluation mode."""
    module.to("cpu")
    module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's types know no memory formats
    return module.eval()


def channels_last(values: torch.Tensor) -> torch.Tensor:
    """The same values, maps laid out channel by channel."""
    return values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values


class OnDevice(nn.Module):
    """A network on a device that takes inputs from the CPU and gives outputs there."""

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__()
        self.network, self.device = network, device

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Outputs, on the CPU."""
        arguments, keywords = mapped(channels_last, moved((inputs, named), self.device))
        return moved(self.network(*arguments, **keywords), "cpu")


@cache
def multiplies_bfloat16(device: str) -> bool:
    """True where a device has instructions that multiply bfloat16; else torch computes it the long way round.

    A torch without `torch.cpu.get_capabilities` cannot tell of a CPU, and counts as no.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    known: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(known.get(name, False) for name in _BFLOAT16)


def autocast(precision: Precision, device: str) -> AbstractContextManager[Any]:
    """Inside, convolutions and products of matrices take bfloat16 where `precision` says so.

    `auto` says so where the device multiplies it, see `multiplies_bfloat16`: a network that learns ends a little
    different on one that does not, as it does with another number of threads.
    """
    narrow = precision == "bfloat16" or (precision == "auto" and multiplies_bfloat16(device))
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=narrow)


def prepare_process(threads: int) -> None:
    """Sets the number of threads of this process, and makes it keep the memory of large maps between steps."""
    torch.set_num_threads(threads)
    keep_memory()


@cache
def keep_memory() -> bool:
    """Makes this process use freed memory again instead of handing it back; True where its allocator can (glibc).

    Feature maps of tens of MB come and go in every training step. By default each is mapped anew, and the system clears
    it page by page, which took up to two fifths of a candidate's step on maps of 90 x 120.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _MOST) and mallopt(_TRIM_THRESHOLD, _MOST))
