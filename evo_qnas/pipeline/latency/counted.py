"""Columns that need no measurement: peak memory, and a roofline model of devices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evo_qnas.networks.integer.kernels import Kernel, kernels_of
from evo_qnas.networks.integer.memory import block_peaks, surroundings
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.tables import Tables
from evo_qnas.tables.roofline import device_label, load_device, roofline_ms

Facts = Mapping[str, Any]


def block_facts(network: QuantizedNetwork) -> dict[str, Any]:
    """Facts of a block: its peaks (input dropped, input kept) and the work of its kernels."""
    return {"peaks": list(block_peaks(network)), "kernels": _work(kernels_of(network))}


def fixed_facts(network: QuantizedNetwork, blocks: Sequence[str]) -> dict[str, Any]:
    """The same of a whole network's fixed part, and what lives around each block."""
    around, peak = surroundings(network, blocks)
    return {
        "around": {block: [found.others, found.kept] for block, found in around.items()},
        "peak": peak,
        "kernels": _work([kernel for kernel in kernels_of(network, blocks) if not kernel.block]),
    }


def _work(kernels: Sequence[Kernel]) -> list[list[int]]:
    return [[kernel.macs, kernel.weights, kernel.values] for kernel in kernels]


def with_costs(
    tables: Tables,
    facts: Mapping[tuple[str, tuple[str, int, int]], Facts],
    fixed: Facts,
    *,
    fixed_bits: tuple[int, int],
    devices: Sequence[str],
) -> Tables:
    """Tables with `peak_memory_bytes`, and `latency_model_ms@device` for each device card.

    Args:
        tables: of a run.
        facts: of each block's choices, by the block and (operator, weight bits, activation bits).
        fixed: of the fixed part.
        fixed_bits: its weight and activation bits.
        devices: names or paths of device cards.
    """
    peaks, around = [], fixed["around"]
    for block in tables.blocks:
        others, kept = around[block.name]
        peaks.append(np.array([float(others + facts[block.name, label]["peaks"][int(kept)]) for label in block.labels]))
    tables = tables.with_column(
        "peak_memory_bytes",
        peaks,
        unit="bytes",
        combine="max",
        fixed=float(fixed["peak"]),
        source="counted: codes that live at once in the order of execution, one byte each, while the block runs; "
        "floats of blocks in floats four bytes each",
    )
    for name in devices:
        device = load_device(name)
        values = [
            np.array(
                [
                    roofline_ms(device, facts[block.name, label]["kernels"], label[1] or 8, label[2] or 8)
                    for label in block.labels
                ]
            )
            for block in tables.blocks
        ]
        tables = tables.with_column(
            f"latency_model_ms@{device_label(name)}",
            values,
            unit="ms",
            fixed=roofline_ms(device, fixed["kernels"], *fixed_bits),
            source=f"a roofline model of {device.description}, nothing measured",
            details=device.model_dump(mode="json"),
        )
    return tables
