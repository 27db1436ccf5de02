"""The genome space: which integers a search may write into a genome, and how tied and pinned blocks share genes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, final

import numpy as np
from jaxtyping import Int

from evo_qnas.errors import ProblemError


@dataclass(frozen=True, slots=True, kw_only=True)
class Gene:
    """One free decision of a search: a group of tied blocks (usually a single one) and the choices it may take.

    Attributes:
        blocks: (members,) int, positions of the blocks that this gene decides.
        options: (options, members) int, `options[o, j]` is the choice index that option `o` gives to `blocks[j]`.
        operator: (options,) int, an id per operator name; equal ids are equal operators within the space.
        weight_bits: (options,) int, bits; 0 where the space knows none.
        activation_bits: (options,) int, bits; 0 where the space knows none.
    """

    blocks: Int[np.ndarray, " members"]
    options: Int[np.ndarray, "options members"]
    operator: Int[np.ndarray, " options"]
    weight_bits: Int[np.ndarray, " options"]
    activation_bits: Int[np.ndarray, " options"]


@final
@dataclass(frozen=True, kw_only=True)
class Space:
    """All genomes of a problem.

    A genome is a row of `blocks` integers, the index of each block's choice in the tables. A search works on gene
    values instead, one per free decision: `(n, genes)` integers, gene `g` in `0 .. len(genes[g].options) - 1`.

    Attributes:
        blocks: names of the blocks.
        choices: (blocks,) int, the number of choices of each block; genome values stay below.
        genes: the free decisions; every block belongs to exactly one gene.
    """

    blocks: tuple[str, ...]
    choices: Int[np.ndarray, " blocks"]
    genes: tuple[Gene, ...]

    @classmethod
    def from_counts(cls, counts: Sequence[int], blocks: Sequence[str] | None = None) -> "Space":
        """The space of `len(counts)` independent blocks, block `b` with choices `0 .. counts[b] - 1`.

        Example:
            >>> Space.from_counts([3, 3, 2]).size
            18
        """
        names = tuple(blocks) if blocks is not None else tuple(f"block{i}" for i in range(len(counts)))
        if len(names) != len(counts):
            raise ProblemError(f"{len(counts)} choice counts need as many block names, got {len(names)}")
        genes = []
        for block, count in enumerate(counts):
            if count < 1:
                raise ProblemError(f"block {names[block]!r} has {count} choices: at least one is needed")
            zeros = np.zeros(count, dtype=np.int64)
            genes.append(
                Gene(
                    blocks=np.array([block]),
                    options=np.arange(count)[:, None],
                    operator=np.arange(count),
                    weight_bits=zeros,
                    activation_bits=zeros,
                )
            )
        return cls(blocks=names, choices=np.asarray(counts, dtype=np.int64), genes=tuple(genes))

    @cached_property
    def counts(self) -> Int[np.ndarray, " genes"]:
        """(genes,) int: the number of options of each gene."""
        return np.array([len(gene.options) for gene in self.genes], dtype=np.int64)

    @cached_property
    def narrow(self) -> np.dtype[np.signedinteger[Any]]:
        """The type of integers that a search may keep many gene values in, int16 where that holds them."""
        fits = int(self.counts.max(initial=0)) <= np.iinfo(np.int16).max
        return np.dtype(np.int16) if fits else np.dtype(np.int64)

    @cached_property
    def size(self) -> int:
        """The number of distinct genomes, an exact Python integer of any length."""
        return prod(len(gene.options) for gene in self.genes)

    @cached_property
    def _table(self) -> tuple[Int[np.ndarray, " blocks"], Int[np.ndarray, " blocks"], Int[np.ndarray, " flat"]]:
        """Per block its gene and the start of its row of choices in one flat array."""
        gene_of = np.empty(len(self.blocks), dtype=np.int64)
        starts = np.empty(len(self.blocks), dtype=np.int64)
        flat: list[np.ndarray] = []
        filled = 0
        for index, gene in enumerate(self.genes):
            for column, block in enumerate(gene.blocks):
                gene_of[block] = index
                starts[block] = filled
                flat.append(gene.options[:, column])
                filled += len(gene.options)
        return gene_of, starts, np.concatenate(flat) if flat else np.empty(0, dtype=np.int64)

    def decode(self, genes: Int[np.ndarray, "n genes"]) -> Int[np.ndarray, "n blocks"]:
        """Genomes of gene values; `(n, blocks)` int64."""
        gene_of, starts, flat = self._table
        straight = len(gene_of) == genes.shape[1] and bool((gene_of[:-1] < gene_of[1:]).all())
        genomes: np.ndarray = flat.take(starts + (genes if straight else genes[:, gene_of]))
        return genomes

    def encode(self, genomes: Int[np.ndarray, "n blocks"]) -> Int[np.ndarray, "n genes"]:
        """Gene values of genomes; `(n, genes)` int64.

        Raises:
            ProblemError: a genome is outside the space; the text names the block and the value.
        """
        values = np.zeros((len(genomes), len(self.genes)), dtype=np.int64)
        if not len(genomes):
            return values
        self._check_range(genomes)
        for index, gene in enumerate(self.genes):
            members = genomes[:, gene.blocks]
            if len(gene.blocks) == 1:
                lookup = np.full(int(self.choices[gene.blocks[0]]), -1, dtype=np.int64)
                lookup[gene.options[:, 0]] = np.arange(len(gene.options))
                values[:, index] = lookup[members[:, 0]]
            else:
                match = (members[:, None, :] == gene.options[None, :, :]).all(axis=2)
                values[:, index] = np.where(match.any(axis=1), match.argmax(axis=1), -1)
        if (values < 0).any():
            row, index = (int(i) for i in np.argwhere(values < 0)[0])
            names = [self.blocks[b] for b in self.genes[index].blocks]
            raise ProblemError(
                f"genome {row} gives {', '.join(names)} the choice {genomes[row, self.genes[index].blocks].tolist()}, "
                "which the ties, pins or forbidden choices of this problem exclude"
            )
        return values

    def _check_range(self, genomes: Int[np.ndarray, "n blocks"]) -> None:
        """Refuses genomes of another length or with a value out of range."""
        if genomes.ndim != 2 or genomes.shape[1] != len(self.blocks):
            raise ProblemError(f"genomes need the shape (n, {len(self.blocks)}), got {genomes.shape}")
        wrong = (genomes < 0) | (genomes >= self.choices)
        if wrong.any():
            row, block = (int(i) for i in np.argwhere(wrong)[0])
            raise ProblemError(
                f"genome {row} has the value {int(genomes[row, block])} for block {self.blocks[block]!r}, "
                f"whose choices are 0 .. {int(self.choices[block]) - 1}"
            )

    def sample(self, rng: np.random.Generator, n: int) -> Int[np.ndarray, "n blocks"]:
        """`n` genomes drawn uniformly, with repetition."""
        return self.decode(rng.integers(0, self.counts, size=(n, len(self.genes))))
