"""Latency of kernels by a roofline model: the slower of computing and moving bytes, plus the start of each kernel."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from evo_qnas.cards import Card, find_card, read_toml, validate
from evo_qnas.errors import CardError

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
# (multiplications, weights read, activations read and written) of a kernel for one image.
KernelWork = Sequence[int]


class DeviceCard(Card):
    """A card of `devices/`: what the model needs to know of a device, and its limits for a search.

    Attributes:
        description: one line.
        macs_per_second: multiplications per second by bit-width; a kernel runs at the smallest that holds the wider of
            its weights and activations.
        bytes_per_second: to and from memory.
        start_us: time that each kernel takes before it computes.
        flash_bytes: for weights and what runs them, in bytes; None without a limit.
        ram_bytes: for tensors, in bytes; None without a limit.
        compiler: runtime by whose account flash counts, see `[compiled]`; "" counts packed tensors.
        schemes: quantization schemes that its kernels take; any where empty.
    """

    description: str
    macs_per_second: dict[str, Positive]
    bytes_per_second: Positive
    start_us: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    flash_bytes: Annotated[int, Field(ge=1, lt=2**53)] | None = None
    ram_bytes: Annotated[int, Field(ge=1, lt=2**53)] | None = None
    compiler: str = ""
    schemes: list[str] = []

    @field_validator("macs_per_second")
    @classmethod
    def _bits(cls, speeds: dict[str, float]) -> dict[str, float]:
        wrong = [key for key in speeds if not (key.isascii() and key.isdigit() and 1 <= int(key) <= 64)]
        if wrong:
            raise ValueError(f"the keys are bit-widths from 1 to 64, not {wrong[0]!r}")
        if max(map(int, speeds), default=0) < 8:
            raise ValueError("name the speed at 8 bits, in which the fixed part runs")
        return dict(sorted(speeds.items(), key=lambda item: int(item[0])))


def load_device(name: str) -> DeviceCard:
    """The device card called `name`, or at that path.

    Raises:
        CardError: it is missing or breaks a rule.
    """
    path = find_card("devices", name)
    return validate(DeviceCard, read_toml(path), f"device card {path.name}")


def device_label(name: str) -> str:
    """The name of a device card given by name or path: what stands behind `@` in a column.

    Example:
        >>> device_label("my/boards/pi4.toml")
        'pi4'
    """
    return Path(name).stem if name.endswith(".toml") else name


def speed_at(device: DeviceCard, bits: int) -> float:
    """Multiplications per second at the smallest width that holds `bits`.

    Raises:
        CardError: there is none.
    """
    speed = next((speed for width, speed in device.macs_per_second.items() if int(width) >= bits), None)
    if speed is None:
        raise CardError(
            f"the device {device.description!r} names no speed at {bits} bits: add one to its macs_per_second, or "
            "leave it out of latency.devices"
        )
    return speed


def roofline_ms(device: DeviceCard, kernels: Sequence[KernelWork], weight_bits: int, activation_bits: int) -> float:
    """Milliseconds of kernels that run one after another: a model, nothing measured.

    Weights are read bit-packed, activations one byte each, as runtimes hold them, and four of floats.

    Source: Williams et al. 2009, Roofline; the constant start of each kernel is added.

    Raises:
        CardError: the device names no speed at these bits.

    Example:
        >>> device = DeviceCard(description="", macs_per_second={"8": 1e9}, bytes_per_second=1e9, start_us=10.0)
        >>> roofline_ms(device, [(2_000_000, 1000, 1000), (0, 0, 3_000_000)], 8, 8)
        5.02
    """
    speed = speed_at(device, max(weight_bits, activation_bits))
    total = 0.0
    for macs, weights, values in kernels:
        moved = weights * weight_bits / 8 + values
        total += max(macs / speed, moved / device.bytes_per_second) * 1e3 + device.start_us / 1e3
    return total
