"""Genes without the options that no optimum needs, where objectives and limits are sums."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.pareto import nondominated
from evo_qnas.spaces import Additive, Gene, Space


def useful_options(sums: Sequence[Float[np.ndarray, "_ d"]]) -> list[Int[np.ndarray, " _"]]:
    """Per gene the options that no other one beats in every sum; the first where all are no numbers.

    Args:
        sums: per gene (options, d), what each option adds.
    """
    useful = [np.flatnonzero(nondominated(values)) for values in sums]
    return [options if len(options) else np.zeros(1, dtype=np.int64) for options in useful]


def all_sums(additive: Additive) -> tuple[Float[np.ndarray, "_ d"], ...]:
    """Per gene what each option adds to the objectives, then to the limits."""
    pairs = zip(additive.objectives, additive.limits, strict=True)
    return tuple(np.concatenate([objectives, limits], axis=1) for objectives, limits in pairs)


@final
@dataclass(frozen=True, kw_only=True)
class Reduction:
    """A space without options that another option of the same gene beats in every objective and limit.

    Every point of the front stays reachable: replacing a beaten option by the one that beats it never worsens a sum. Of
    options that are equal in everything the first stays.

    Attributes:
        space: what is left.
        sums: per gene of the whole space what each option adds.
        kept: per gene which options are left.
    """

    space: Space
    sums: tuple[Float[np.ndarray, "_ d"], ...]
    kept: tuple[Int[np.ndarray, " _"], ...]

    @classmethod
    def of(
        cls, space: Space, sums: tuple[Float[np.ndarray, "_ d"], ...], useful: Sequence[Int[np.ndarray, " _"]]
    ) -> "Reduction":
        """The reduction to the `useful_options` of these sums; genes whose options are all no numbers stay whole."""
        numbers = [bool(np.isfinite(values[options]).all()) for values, options in zip(sums, useful, strict=True)]
        kept = tuple(
            options if sound else np.arange(len(values))
            for values, options, sound in zip(sums, useful, numbers, strict=True)
        )
        genes = tuple(_subset(gene, keep) for gene, keep in zip(space.genes, kept, strict=True))
        return cls(space=replace(space, genes=genes), sums=sums, kept=kept)

    def moved(self, genes: Int[np.ndarray, "n genes"]) -> Int[np.ndarray, "n genes"]:
        """Gene values of the whole space in this one; an option that fell away becomes one that beats it."""
        into = [np.full(len(values), -1, dtype=genes.dtype) for values in self.sums]
        for places, kept in zip(into, self.kept, strict=True):
            places[kept] = np.arange(len(kept))
        starts = np.cumsum([0, *map(len, into[:-1])])
        moved: np.ndarray = np.concatenate(into).take(genes + starts)
        for index in np.flatnonzero((moved < 0).any(axis=0)):
            fallen = np.flatnonzero(moved[:, index] < 0)
            values = self.sums[index]
            beats = np.ones((len(fallen), len(self.kept[index])), dtype=bool)
            for column in values.T:
                beats &= column[self.kept[index]] <= column[genes[fallen, index]][:, None]
            moved[fallen, index] = beats.argmax(axis=1)
        return moved


def _subset(gene: Gene, keep: Int[np.ndarray, " kept"]) -> Gene:
    """The gene with some of its options."""
    return replace(
        gene,
        options=gene.options[keep],
        operator=gene.operator[keep],
        weight_bits=gene.weight_bits[keep],
        activation_bits=gene.activation_bits[keep],
    )
