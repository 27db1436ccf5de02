"""Sections of a card that add columns of devices to the tables: measured, and by a compiler's account."""

from typing import Annotated

from pydantic import AfterValidator, Field

from evo_qnas.cards import Card
from evo_qnas.networks.export import RUNTIMES

Count = Annotated[int, Field(ge=1, le=10**6)]


class LatencyCard(Card):
    """`[latency]`: measured between tables and search; without this section only finished networks are timed.

    Attributes:
        runtime: whose kernels are timed, one that writes blocks.
        rounds: times everything is timed, each round in random order.
        threads: threads of the runtime.
        networks: whole networks that the block times are calibrated on.
        held_out: further whole networks that the calibration is checked on.
        float32: time the float networks as well, as the column `latency_fp32_ms`.
        devices: device cards, each a roofline model as the column `latency_model_ms@NAME`.
    """

    runtime: Annotated[str, AfterValidator(RUNTIMES.require)] = "onnx"
    rounds: Annotated[int, Field(ge=10, le=10**6)] = 200
    threads: Count = 1
    networks: Annotated[int, Field(ge=4, le=10**5)] = 48
    held_out: Annotated[int, Field(ge=0, le=10**5)] = 12
    float32: bool = False
    devices: list[str] = []


class CompiledCard(Card):
    """`[compiled]`: columns of devices by a compiler's account of blocks, between tables and search; else none.

    For each runtime `flash_bytes@NAME`, the bytes of its compiled file, and `latency_ms@NAME`, its estimate where it
    has one, both calibrated on whole networks that it compiles too.

    Attributes:
        runtimes: compilers, as `evo-qnas list runtimes` names them: `ethos-u65-256`, `tflite-micro` and others.
        networks: whole networks that the blocks are calibrated on.
        held_out: further whole networks that the calibration is checked on.
    """

    runtimes: Annotated[list[Annotated[str, AfterValidator(RUNTIMES.require)]], Field(min_length=1)]
    networks: Annotated[int, Field(ge=4, le=10**5)] = 24
    held_out: Annotated[int, Field(ge=0, le=10**5)] = 12
