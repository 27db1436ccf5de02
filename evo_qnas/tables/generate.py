"""Made-up tables of any size with the shape of real ones, for benchmarks and tests."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from evo_qnas.errors import TableError
from evo_qnas.tables.parts import Block
from evo_qnas.tables.tables import Tables


def generate_tables(
    blocks: int,
    *,
    operators: int = 12,
    weight_bits: Sequence[int] = (2, 3, 4, 6, 8),
    activation_bits: Sequence[int] = (4, 8),
    seed: int = 0,
) -> Tables:
    """Seeded tables of `blocks` blocks, each with all of operators x weight bits x activation bits as choices.

    As in measured tables, (1) later blocks have more weights and fewer multiply-accumulates, with a spread between
    neighbours; (2) an operator with fewer weights scores worse; (3) quantization noise falls with four to the power of
    the bits, and each block is sensitive to it in its own measure; (4) the size is bits x weights, rounded up to bytes,
    plus the step sizes; (5) the latency is a part that grows with multiply-accumulates and bits and a part that grows
    with memory traffic, with a few percent of measurement noise. Scores carry a few percent of noise too, so that they
    are not quite monotone in the bits.

    Columns: `score` (noise-to-signal ratio), `size_bytes`, `macs`, `bit_operations`, `latency_ms`. Baseline:
    `teacher_int8` (operator `teacher` at the most bits everywhere). Equal arguments give equal tables.

    Args:
        blocks: number of blocks, at least 1.
        operators: number of operators of each block, the first is `teacher`.
        weight_bits: weight bit-widths.
        activation_bits: activation bit-widths.
        seed: of the random numbers.

    Raises:
        TableError: a count is below 1.

    Example:
        >>> tables = generate_tables(8)
        >>> tables.choices.tolist(), list(tables.columns)
        ([120, 120, 120, 120, 120, 120, 120, 120], ['score', 'size_bytes', 'macs', 'bit_operations', 'latency_ms'])
    """
    if min(blocks, operators, len(weight_bits), len(activation_bits)) < 1:
        raise TableError(
            "generated tables need at least one block, operator, weight bit-width and activation bit-width"
        )
    rng = np.random.default_rng(seed)
    labels = list(product(range(operators), weight_bits, activation_bits))
    operator, weight, activation = np.array(labels).T
    names = tuple("teacher" if index == 0 else f"operator{index}" for index in operator)
    made: dict[str, list[np.ndarray]] = {name: [] for name in _COLUMNS}
    for index in range(blocks):
        columns = _block_columns(operator, weight, activation, depth=index / max(blocks - 1, 1), rng=rng)
        for name, values in columns.items():
            made[name].append(values)
    best = max(range(len(labels)), key=lambda i: (-int(operator[i]), int(weight[i] + activation[i])))
    return Tables.from_arrays(
        made,
        blocks=[
            Block(name=f"block{index}", operators=names, weight_bits=weight, activation_bits=activation)
            for index in range(blocks)
        ],
        sources=dict.fromkeys(made, f"generate_tables({blocks}, seed={seed})"),
        baselines={"teacher_int8": [best] * blocks},
    )


_COLUMNS = ("score", "size_bytes", "macs", "bit_operations", "latency_ms")


def _block_columns(
    operator: np.ndarray, weight: np.ndarray, activation: np.ndarray, *, depth: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """One block's columns, `(choices,)` each; `depth` runs from 0 (first block) to 1 (last)."""
    count = int(operator.max()) + 1
    compression = np.concatenate([[1.0], np.sort(rng.uniform(0.1, 0.95, count - 1))[::-1]])
    weights = np.round(2e4 * 4.0**depth * rng.lognormal(0.0, 0.3) * compression)
    macs = np.round(4e7 * 3.0**-depth * rng.lognormal(0.0, 0.3) * compression * rng.uniform(0.8, 1.2, count))
    sensitivity = rng.lognormal(0.0, 0.5)
    capacity = 0.01 + 0.5 * (1.0 - compression) ** 2 * rng.uniform(0.9, 1.1, count)
    capacity[0] = 0.0
    noise = 2.0 * 4.0 ** (1.0 - weight) + 2.0 * 4.0 ** (1.0 - activation)
    score = sensitivity * (capacity[operator] + noise) * rng.lognormal(0.0, 0.05, len(operator))
    size = np.ceil(weights[operator] * weight / 8.0) + 4.0 * np.ceil(np.sqrt(weights[operator]))
    work = macs[operator] * (0.4 + weight * activation / 64.0)
    traffic = size + np.sqrt(macs[operator]) * activation
    latency = (2e-8 * work + 1.5e-6 * traffic + 0.01) * rng.lognormal(0.0, 0.05, len(operator))
    return {
        "score": score,
        "size_bytes": size,
        "macs": macs[operator],
        "bit_operations": macs[operator] * weight * activation,
        "latency_ms": latency,
    }
