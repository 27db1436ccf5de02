"""Genes without the options that no optimum needs, where objectives and limits are sums."""

from dataclasses import replace

import numpy as np
from jaxtyping import Int

from evo_qnas.pareto import nondominated
from evo_qnas.spaces import Additive, Gene, Space


def reduced(additive: Additive) -> Space:
    """The space without options that another option of the same gene beats in every objective and limit.

    Every point of the front stays reachable: replacing a beaten option by the one that beats it never worsens a sum. Of
    options that are equal in everything the first stays.
    """
    genes = []
    for gene, objectives, limits in zip(additive.space.genes, additive.objectives, additive.limits, strict=True):
        keep = np.flatnonzero(nondominated(np.concatenate([objectives, limits], axis=1)))
        genes.append(_subset(gene, keep) if len(keep) else gene)
    return replace(additive.space, genes=tuple(genes))


def restricted(additive: Additive, space: Space) -> Additive:
    """The sums over the options that `space` kept of the additive problem's own."""
    places = [_places(old, new) for old, new in zip(additive.space.genes, space.genes, strict=True)]
    return replace(
        additive,
        space=space,
        objectives=tuple(values[place] for values, place in zip(additive.objectives, places, strict=True)),
        limits=tuple(values[place] for values, place in zip(additive.limits, places, strict=True)),
    )


def into_reduced(additive: Additive, space: Space, genes: Int[np.ndarray, "n genes"]) -> Int[np.ndarray, "n genes"]:
    """Gene values of the full space in the reduced one; an option that fell away becomes one that beats it."""
    into = []
    for old, new in zip(additive.space.genes, space.genes, strict=True):
        places = np.full(len(old.options), -1)
        kept = _places(old, new)
        places[kept] = np.arange(len(kept))
        into.append(places)
    starts = np.cumsum([0, *map(len, into[:-1])])
    moved: np.ndarray = np.concatenate(into).take(genes + starts)
    for index in np.flatnonzero((moved < 0).any(axis=0)):
        values = np.concatenate([additive.objectives[index], additive.limits[index]], axis=1)
        fallen = np.flatnonzero(moved[:, index] < 0)
        kept = np.flatnonzero(into[index] >= 0)
        kept = kept[np.argsort(into[index][kept])]
        beats = (values[kept][None, :, :] <= values[genes[fallen, index]][:, None, :]).all(axis=2)
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


def _places(old: Gene, new: Gene) -> Int[np.ndarray, " kept"]:
    """Where the options of `new` stand among those of `old`."""
    position = {option: index for index, option in enumerate(map(tuple, old.options.tolist()))}
    return np.array([position[option] for option in map(tuple, new.options.tolist())], dtype=np.int64)
