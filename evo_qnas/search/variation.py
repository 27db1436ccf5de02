"""Crossover and mutation of whole populations of gene values, made for genomes of unordered choices."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, final

import numpy as np
from jaxtyping import Int, UInt8
from pydantic import Field

from evo_qnas.cards import Card, find_card, read_toml, validate
from evo_qnas.search.neighbours import other_bits, other_operator, stacks
from evo_qnas.spaces import Space

Share = Annotated[float, Field(ge=0.0, le=1.0)]
# Weights are shared out by their sum; cuts beyond the genes of any network cut nothing more.
Weight = Annotated[float, Field(ge=0.0, le=1e6)]


@final
class Recipe(Card):
    """Rates of crossover and mutation, one card of `operators/variation/`.

    Attributes:
        description: what the recipe is for.
        crossover: share of children made of two parents; the others are copies of one.
        uniform: share of crossovers that draw every gene from either parent; the others cut at points.
        points: the number of cuts of the others.
        mutated_genes: the expected number of genes mutated per child.
        whole: weight of mutations to any other choice.
        operator: weight of mutations of the operator alone.
        bits: weight of mutations of one bit-width to a neighbouring one.
        mating_neighbourhood: a parent's partner is the nearest in the objectives of so many random members that it is
            about the nearest of this number of all (at most 32 are drawn); 0 draws it by a tournament of its own.
    """

    description: str
    crossover: Share
    uniform: Share
    points: Annotated[int, Field(ge=1, le=10_000)]
    mutated_genes: Weight
    whole: Weight
    operator: Weight
    bits: Weight
    mating_neighbourhood: Annotated[int, Field(ge=0, le=10**6)]


def load_recipe(name: str) -> Recipe:
    """The variation recipe called `name`, or in the file `name`.

    Raises:
        CardError: there is no such recipe, or it breaks a rule.
    """
    path: Path = find_card("operators/variation", name)
    return validate(Recipe, read_toml(path), str(path))


@final
class Variation:
    """Crossover and mutation over one space, on `(n, genes)` matrices at once."""

    def __init__(self, space: Space, recipe: Recipe) -> None:
        self.space = space
        self.recipe = recipe
        self._counts = space.counts
        self._free = np.flatnonzero(self._counts > 1)
        weights = np.array([recipe.whole, recipe.operator, recipe.bits])
        self._kinds = np.cumsum(weights / weights.sum()) if weights.sum() > 0 else np.array([1.0, 1.0, 1.0])
        self._rate = min(1.0, recipe.mutated_genes / max(1, len(self._free)))

    def children(
        self, rng: np.random.Generator, first: Int[np.ndarray, "n genes"], second: Int[np.ndarray, "n genes"]
    ) -> Int[np.ndarray, "n genes"]:
        """One child of each pair of parents, crossed and mutated; the parents stay as they are."""
        return self.mutate(rng, self.cross(rng, first, second))

    def cross(
        self, rng: np.random.Generator, first: Int[np.ndarray, "n genes"], second: Int[np.ndarray, "n genes"]
    ) -> Int[np.ndarray, "n genes"]:
        """One child of each pair: every gene from either parent, or stretches of genes between cuts."""
        n, genes = first.shape
        draw = rng.random((2, n))
        bits = np.unpackbits(np.frombuffer(rng.bytes((n * genes + 7) // 8), dtype=np.uint8), count=n * genes)
        take = bits.reshape(n, genes)
        if self.recipe.uniform < 1.0:
            cut = np.flatnonzero(draw[1] >= self.recipe.uniform)
            take[cut] = self._stretches(rng, len(cut), genes)
        take *= (draw[0] < self.recipe.crossover)[:, None]
        # Bits of the second parent where the mask is all ones: a choice by numpy.where takes five times as long.
        mask = -take.astype(first.dtype)
        child: np.ndarray = first ^ ((first ^ second) & mask)
        return child

    def _stretches(self, rng: np.random.Generator, n: int, genes: int) -> UInt8[np.ndarray, "n genes"]:
        """Masks of 0 and 1 that change sides at `points` random cuts."""
        cuts = rng.integers(1, max(2, genes), size=(self.recipe.points, n, 1))
        mask = np.zeros((n, genes), dtype=np.uint8)
        places = np.arange(genes)
        for cut in cuts:
            mask ^= cut <= places
        return mask

    def mutate(self, rng: np.random.Generator, values: Int[np.ndarray, "n genes"]) -> Int[np.ndarray, "n genes"]:
        """A copy in which some genes took another option: any, one of another operator, or one of other bits."""
        cells = _hits(rng, len(values) * len(self._free), self._rate)
        if not len(cells):
            return values.copy()
        rows, columns = np.divmod(cells, len(self._free))
        columns = self._free[columns]
        draw = rng.random((2, len(rows)))
        old = values[rows, columns]
        counts = self._counts[columns]
        new = (old + 1 + (draw[1] * (counts - 1)).astype(np.int64)) % counts
        kind = np.searchsorted(self._kinds[:2], draw[0], side="right")
        starts, lengths, targets, offsets = self._neighbours
        cell = offsets[columns] + old
        for which in (1, 2):
            start, length = starts[which - 1][cell], lengths[which - 1][cell]
            near = (kind == which) & (length > 0)
            new[near] = targets[which - 1][start[near] + (draw[1][near] * length[near]).astype(np.int64)]
        child = values.copy()
        child[rows, columns] = new
        return child

    @cached_property
    def _neighbours(self) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], np.ndarray]:
        """Start, length and list of the neighbours of every option, for operator and bits moves; gene offsets."""
        offsets = np.concatenate([[0], np.cumsum(self._counts)[:-1]]).astype(np.int64)
        lists: list[tuple[list[np.ndarray], list[np.ndarray]]] = [([], []), ([], [])]
        for stack in stacks(self.space.genes):
            for (lengths, targets), mask in zip(lists, (other_operator(stack), other_bits(stack)), strict=True):
                lengths.append(mask.sum(axis=2)[stack.real])
                targets.append(np.nonzero(mask & stack.real[:, :, None])[2])
        length = [np.concatenate(lengths) for lengths, _ in lists]
        start = [np.concatenate([[0], np.cumsum(each)[:-1]]).astype(np.int64) for each in length]
        target = [np.concatenate([*targets, np.zeros(1, dtype=np.int64)]) for _, targets in lists]
        return start, length, target, offsets


def _hits(rng: np.random.Generator, n: int, rate: float) -> Int[np.ndarray, " k"]:
    """The rising numbers below `n` that are drawn where each is with the same chance, by the gaps between them."""
    if not n or rate <= 0.0:
        return np.empty(0, dtype=np.int64)
    expected = n * rate
    # Six standard deviations more than expected are nearly always enough.
    more = int(expected + 6.0 * expected**0.5) + 8
    last, drawn = -1, [np.empty(0, dtype=np.int64)]
    while last < n:
        drawn.append(last + np.cumsum(rng.geometric(rate, size=more)))
        last = int(drawn[-1][-1])
    hits = np.concatenate(drawn)
    return hits[: np.searchsorted(hits, n)]
