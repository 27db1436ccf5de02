"""Objectives that are no sums over blocks, for problems on which seeds of sums and block-wise thinking mislead.

Each is a function of a batch of networks over tables with the columns of `generate_tables`.
"""

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.problem import Networks, objective

# Chosen to make the problems hard, not to be those of a device: conversions that count, a trap for single steps, noise.
GROUP = 4
_REQUANTIZE_MS_PER_BYTE = 2e-5
_TRAP_SHARE = 0.01
_FUSED_STEPS = 10.0
_NOISE = 0.05


def _feature_bytes(networks: Networks) -> Float[np.ndarray, "n blocks"]:
    """Bytes of each block's output: feature maps shrink with the work of the block, at its activation bits."""
    bytes_: np.ndarray = 4.0 * np.sqrt(networks.column("macs")) * networks.activation_bits / 8.0
    return bytes_


@objective(unit="B")
def peak_memory(networks: Networks) -> Float[np.ndarray, " n"]:
    """Largest sum of a block's input and output: the blocks before and after share the memory."""
    handed = _feature_bytes(networks)
    before = np.concatenate([handed[:, :1], handed[:, :-1]], axis=1)
    peak: np.ndarray = (before + handed).max(axis=1)
    return peak


@objective(unit="ms")
def requantized_latency(networks: Networks) -> Float[np.ndarray, " n"]:
    """Latency of all blocks, and of a conversion wherever two neighbours differ in their activation bits."""
    differ = np.diff(networks.activation_bits, axis=1) != 0
    converted = (differ * _feature_bytes(networks)[:, :-1]).sum(axis=1)
    total: np.ndarray = networks.column("latency_ms").sum(axis=1) + _REQUANTIZE_MS_PER_BYTE * converted
    return total


def fusible(blocks: int) -> Int[np.ndarray, " blocks"]:
    """The choice that each block must take for its group to be fused, one of 1 .. 3."""
    index = np.arange(blocks)
    return 1 + (index * index + index // GROUP) % 3


@objective(unit="ms")
def fused_latency(networks: Networks) -> Float[np.ndarray, " n"]:
    """Latency where four neighbours run as one fused kernel if all take the choice it needs, and lose by coming near.

    Each block that is prepared for a kernel which its group does not use costs a conversion: a trap, since every single
    step towards the best network makes it worse.

    Source: Deb & Goldberg 1993 (deceptive traps), on groups of four blocks.
    """
    n, blocks = networks.genomes.shape
    fits = (networks.genomes == fusible(blocks)).reshape(n, blocks // GROUP, GROUP).sum(axis=2)
    largest = sum(float(values.max()) for values in networks.tables.column("latency_ms").values)
    trap = np.where(fits == GROUP, -_FUSED_STEPS, fits.astype(np.float64)).sum(axis=1)
    total: np.ndarray = networks.column("latency_ms").sum(axis=1) + _TRAP_SHARE * largest * trap
    return total


@objective(unit="1")
def noisy_score(networks: Networks) -> Float[np.ndarray, " n"]:
    """The score as one measurement would give it: off by a normal error of 5 %, the same each time for a network."""
    total: np.ndarray = networks.column("score").sum(axis=1)
    return total * (1.0 + _NOISE * _normal(networks.genomes))


def _normal(genomes: Int[np.ndarray, "n blocks"]) -> Float[np.ndarray, " n"]:
    """A standard normal number per genome, a function of the genome alone.

    Source: the mixing steps are those of splitmix64 (Steele, Lea & Flood 2014).
    """
    from scipy.special import ndtri

    state = np.zeros(len(genomes), dtype=np.uint64)
    for column in genomes.T.astype(np.uint64):
        state = _mixed(state + column + np.uint64(0x9E3779B97F4A7C15))
    uniform = ((state >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    normal: np.ndarray = ndtri(uniform)
    return normal


def _mixed(state: np.ndarray) -> np.ndarray:
    """One round of mixing; wraps around at 2^64."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = state ^ (state >> np.uint64(31))
    return mixed
