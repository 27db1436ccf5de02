"""NAS-Bench-Macro: all 3^8 networks trained; here its additive fit as tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import TableError
from evo_qnas.reading import read_arrays
from evo_qnas.tables.parts import Block
from evo_qnas.tables.tables import Tables

# The fit takes memory that grows with the square of this; the benchmark has 8.
_MOST_BLOCKS = 256

OPERATORS = ("identity", "mb_k3_e3", "mb_k5_e6")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MacroTruth:
    """The measurements of NAS-Bench-Macro.

    Attributes:
        genomes: (n, blocks) int64 operators.
        error: (n,) percent, 100 - mean test accuracy of three trainings.
        params: (n,) weights.
        flops: (n,) multiply-accumulates.
    """

    genomes: Int[np.ndarray, "n blocks"]
    error: Float[np.ndarray, " n"]
    params: Float[np.ndarray, " n"]
    flops: Float[np.ndarray, " n"]


def read_macro(path: str | Path) -> MacroTruth:
    """The measured networks.

    Args:
        path: `.npz` with `codes` (n, blocks), `mean_acc` (n,) percent, `params` (n,) and `flops` (n,).

    Raises:
        TableError: the file cannot be read, or an array is missing or of another shape.

    Source:
        Su et al. 2021, Prioritized Architecture Sampling with Monto-Carlo Tree Search.
    """
    file = Path(path)
    arrays = read_arrays(file, ["codes", "mean_acc", "params", "flops"], TableError)
    codes = arrays["codes"]
    if codes.ndim != 2 or codes.dtype.kind not in "iu" or not codes.size or codes.shape[1] > _MOST_BLOCKS:
        raise TableError(f"{file}: codes must be (n, blocks) whole numbers, with at most {_MOST_BLOCKS} blocks")
    if codes.min() < 0 or codes.max() >= len(OPERATORS):
        raise TableError(f"{file}: codes must be (n, blocks) of the operators 0 .. {len(OPERATORS) - 1}")
    for name in ("mean_acc", "params", "flops"):
        if arrays[name].shape != (len(codes),) or arrays[name].dtype.kind not in "iuf":
            raise TableError(f"{file}: {name} must be one number for each of {len(codes)} networks")
        if not np.isfinite(arrays[name]).all():
            raise TableError(f"{file}: {name} has NaN or infinity: every network needs a measurement")
    return MacroTruth(
        genomes=codes.astype(np.int64),
        error=100.0 - arrays["mean_acc"].astype(np.float64),
        params=arrays["params"].astype(np.float64),
        flops=arrays["flops"].astype(np.float64),
    )


def import_macro(path: str | Path) -> Tables:
    """Tables whose sums come nearest to the measured error, weights and multiply-accumulates (least squares).

    The fixed part is the network of identities, a value is what an operator adds to it, with its standard error. The
    truth is not a sum: search it with `evo_qnas.problem.nas_bench_macro`.

    Columns: `error` (percent), `params`, `flops`.

    Raises:
        TableError: see `read_macro`.
    """
    file = Path(path)
    truth = read_macro(file)
    count = truth.genomes.shape[1]
    one_hot = [truth.genomes[:, [block]] == np.arange(1, len(OPERATORS)) for block in range(count)]
    design = np.concatenate([np.ones((len(truth.genomes), 1)), *one_hot], axis=1)
    measured = {"error": truth.error, "params": truth.params, "flops": truth.flops}
    fits = {name: _fit(design, values) for name, values in measured.items()}
    zeros = np.zeros(len(OPERATORS), dtype=np.int64)
    return Tables.from_arrays(
        {name: _per_block(value, count) for name, (value, _) in fits.items()},
        blocks=[
            Block(name=f"block{index}", operators=OPERATORS, weight_bits=zeros, activation_bits=zeros)
            for index in range(count)
        ],
        stderr={name: _per_block(error, count) for name, (_, error) in fits.items()},
        units={"error": "%", "params": "1", "flops": "MAC"},
        sources=dict.fromkeys(fits, f"{file.name}: NAS-Bench-Macro, CIFAR-10, least squares"),
        fixed={name: float(value[0]) for name, (value, _) in fits.items()},
    )


def _fit(design: Float[np.ndarray, "n p"], values: Float[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares coefficients and their standard errors."""
    coefficients, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    residual = values - design @ coefficients
    variance = float(residual @ residual) / max(len(values) - int(rank), 1)
    return coefficients, np.sqrt(np.diag(np.linalg.pinv(design.T @ design)) * variance)


def _per_block(coefficients: Float[np.ndarray, " p"], blocks: int) -> list[np.ndarray]:
    """(operators,) per block; the first operator adds nothing."""
    rest = coefficients[1:].reshape(blocks, len(OPERATORS) - 1)
    return [np.concatenate([[0.0], row]) for row in rest]
