"""Kernels over networks: the covariance of the values of two networks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.predict.features import Features

# Variance of the unknown mean, in units of the values' variance: large, so that the mean is free.
_CONSTANT = 10.0
# Shares of the genes in which two networks differ over which `whole` falls to 37 %. Chosen, not measured.
_RANGES = (0.5, 1.0, 2.0)

Weights = Mapping[str, float]


@final
@dataclass(frozen=True, kw_only=True)
class Parts:
    """Parts of kernels between two sets of networks, each `(n, k)` and about 1 between a network and itself.

    `total`: known sums; `share`: what each gene adds to them; `option`: how alike the options are; `near`: the same of
    neighbouring pairs of genes; `pair`: of all pairs; `whole`: of the networks as a whole, at three ranges.
    """

    values: Mapping[str, Float[np.ndarray, "n k"]]

    @classmethod
    def between(
        cls,
        features: Features,
        first: Int[np.ndarray, "n genes"],
        second: Int[np.ndarray, "k genes"],
        names: Collection[str],
    ) -> "Parts":
        """The named parts."""
        parts: dict[str, np.ndarray] = {}
        if set(names) - {"total", "share"}:
            parts |= _of_options(features, first, second, names)
        if "total" in names:
            parts["total"] = _inner(features.scaled_totals(first), features.scaled_totals(second))
        if "share" in names:
            parts["share"] = _inner(features.shares(first), features.shares(second))
        if not parts:
            raise ValueError("a kernel needs one part at least")
        return cls(values=MappingProxyType(parts))

    def kernel(self, weights: Weights) -> Float[np.ndarray, "n k"]:
        """The weighted sum of parts, and a constant that stands for the unknown mean."""
        total = np.full(next(iter(self.values.values())).shape, _CONSTANT)
        for name, weight in weights.items():
            total += weight * self.values[name]
        return total


def _of_options(
    features: Features, first: Int[np.ndarray, "n genes"], second: Int[np.ndarray, "k genes"], names: Collection[str]
) -> dict[str, Float[np.ndarray, "n k"]]:
    """The parts made of how alike options are."""
    shape, genes = (len(first), len(second)), max(1, first.shape[1])
    alike, squares, near = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    before = np.zeros(shape)
    for index, matrix in enumerate(features.likeness):
        here = matrix[first[:, index][:, None], second[:, index]]
        alike += here
        if "pair" in names:
            squares += here * here
        if "near" in names:
            near += before * here
            before = here
    made: dict[str, Callable[[], np.ndarray]] = {
        "option": lambda: alike / genes,
        "near": lambda: near / max(1, genes - 1),
        "pair": lambda: (alike * alike - squares) / max(1, genes * (genes - 1)),
        **{f"whole{scale:g}": partial(_whole, alike / genes, scale) for scale in _RANGES},
    }
    return {name: make() for name, make in made.items() if name in names}


def _whole(alike: Float[np.ndarray, "n k"], scale: float) -> Float[np.ndarray, "n k"]:
    """Falls from 1 with the share of the genes in which two networks differ."""
    return np.exp((alike - 1.0) / scale)


def own(features: Features, genes: Int[np.ndarray, "n genes"], weights: Weights) -> Float[np.ndarray, " n"]:
    """(n,) the kernel between each network and itself."""
    total = np.full(len(genes), _CONSTANT)
    for name, weight in weights.items():
        if name == "total":
            total += weight * (features.scaled_totals(genes) ** 2).mean(axis=1)
        elif name == "share":
            total += weight * (features.shares(genes) ** 2).mean(axis=1)
        elif name != "near" or genes.shape[1] > 1:
            # Every likeness is 1 on its diagonal; a single gene has no pairs.
            total += weight if name != "pair" or genes.shape[1] > 1 else 0.0
    return total


# Kernels to choose from: weights of parts. Chosen, not measured one by one: `benchmarks/rank_correlation.py` measures
# the predictors as wholes.
_RIDGE: tuple[Weights, ...] = (
    {"total": 1.0},
    {"total": 1.0, "share": 1.0},
    {"option": 1.0},
    {"total": 1.0, "option": 1.0},
    {"total": 1.0, "share": 1.0, "option": 1.0},
)
_PAIRWISE: tuple[Weights, ...] = (
    {"option": 1.0, "near": 0.5},
    {"option": 1.0, "pair": 0.5},
    {"total": 1.0, "option": 1.0, "near": 0.5},
    {"total": 1.0, "share": 1.0, "option": 1.0, "pair": 0.5},
)
_PROCESS: tuple[Weights, ...] = (
    {"whole0.5": 1.0},
    {"whole1": 1.0},
    {"whole2": 1.0},
    {"total": 1.0, "whole0.5": 1.0},
    {"total": 1.0, "whole2": 1.0},
)

MENUS: Mapping[str, tuple[Weights, ...]] = MappingProxyType(
    {
        "ridge": _RIDGE,
        "pairwise": _PAIRWISE,
        "process": _PROCESS,
        "kernel": (*_RIDGE, *_PAIRWISE, *_PROCESS),
    }
)


def usable(kernels: Sequence[Weights], features: Features) -> list[Weights]:
    """The kernels that the features allow: those of known sums only where there are some."""
    return [weights for weights in kernels if features.sums or not {"total", "share"} & set(weights)]


def _inner(first: Float[np.ndarray, "n p"], second: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "n k"]:
    product: np.ndarray = first @ second.T / max(1, first.shape[1])
    return product
