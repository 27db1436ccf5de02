"""Neighbouring options of genes, for many genes at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Int

from evo_qnas.spaces import Gene

# Pairs of options that are compared at once: arrays of 2 MB stay in the processor's cache.
_PAIRS_AT_ONCE = 1 << 18


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Some genes at once, `g` of them, filled up to equal numbers of options `k`.

    Attributes:
        operator: (g, k) ids.
        weight_bits: (g, k) bits.
        activation_bits: (g, k) bits.
        real: (g, k) False where a gene was filled up.
    """

    operator: Int[np.ndarray, "g k"]
    weight_bits: Int[np.ndarray, "g k"]
    activation_bits: Int[np.ndarray, "g k"]
    real: Bool[np.ndarray, "g k"]

    @classmethod
    def of(cls, genes: Sequence[Gene]) -> "Stack":
        """The stack of these genes."""
        most = max(len(gene.options) for gene in genes)

        labels = np.zeros((3, len(genes), most), dtype=np.int64)
        for index, gene in enumerate(genes):
            labels[:, index, : len(gene.options)] = gene.operator, gene.weight_bits, gene.activation_bits
        counts = np.array([len(gene.options) for gene in genes])
        operator, weight_bits, activation_bits = labels
        return cls(
            operator=operator,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            real=np.arange(most) < counts[:, None],
        )


def stacks(genes: Sequence[Gene]) -> Iterator[Stack]:
    """All genes in their order, as many at once as have few pairs of options."""
    start = 0
    while start < len(genes):
        stop, most = start + 1, len(genes[start].options)
        while stop < len(genes):
            more = max(most, len(genes[stop].options))
            if (stop + 1 - start) * more**2 > _PAIRS_AT_ONCE:
                break
            stop, most = stop + 1, more
        yield Stack.of(genes[start:stop])
        start = stop


def _distance(stack: Stack) -> Int[np.ndarray, "g k k"]:
    """Bits between every two options of a gene, weights and activations together."""
    distance: np.ndarray = np.abs(_steps(stack.weight_bits)) + np.abs(_steps(stack.activation_bits))
    return distance


def _steps(bits: Int[np.ndarray, "g k"]) -> Int[np.ndarray, "g k k"]:
    """Bits that every option has more than every other one, in a narrow type where that holds them."""
    narrow = bits.astype(np.int16) if np.abs(bits).max(initial=0) < 8192 else bits
    steps: np.ndarray = narrow[:, None, :] - narrow[:, :, None]
    return steps


def _same_operator(stack: Stack) -> Bool[np.ndarray, "g k k"]:
    """True where two options have one operator."""
    same: np.ndarray = stack.operator[:, :, None] == stack.operator[:, None, :]
    return same


def other_operator(stack: Stack) -> Bool[np.ndarray, "g k k"]:
    """True where an option has another operator and the same bits, or the nearest bits there are."""
    other, distance = ~_same_operator(stack) & stack.real[:, None, :], _distance(stack)
    distance = np.where(other, distance, np.iinfo(distance.dtype).max)
    nearest: np.ndarray = other & (distance == distance.min(axis=2, keepdims=True))
    return nearest


def other_bits(stack: Stack) -> Bool[np.ndarray, "g k k"]:
    """True where an option has the same operator and one bit-width changed to the next one there is."""
    same = _same_operator(stack) & stack.real[:, None, :]
    weight, activation = _steps(stack.weight_bits), _steps(stack.activation_bits)
    near = np.zeros(same.shape, dtype=bool)
    for step, still in ((weight, activation), (activation, weight)):
        level, far = same & (still == 0), np.iinfo(step.dtype).max
        for ahead, ahead_by in ((level & (step > 0), step), (level & (step < 0), -step)):
            size = np.where(ahead, ahead_by, far)
            near |= ahead & (size == size.min(axis=2, keepdims=True))
    alone = np.reshape(~near.any(axis=2), (*stack.real.shape, 1))
    if not alone[stack.real].any():
        return near
    moved = same & ~np.eye(same.shape[1], dtype=bool)
    distance = _distance(stack)
    size = np.where(moved, distance, np.iinfo(distance.dtype).max)
    near |= alone & moved & (size == size.min(axis=2, keepdims=True))
    return near
