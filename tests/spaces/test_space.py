"""Spaces: genes against genomes, ties, and refusals that name what is wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.errors import ProblemError
from evo_qnas.spaces import Additive, Gene, Space


def tied_space() -> Space:
    """Blocks 0 and 2 tied over two options, block 1 free."""
    zeros = np.zeros(2, dtype=np.int64)
    tied = Gene(
        blocks=np.array([0, 2]),
        options=np.array([[0, 2], [1, 0]]),
        operator=zeros,
        weight_bits=zeros,
        activation_bits=zeros,
    )
    free = Gene(
        blocks=np.array([1]),
        options=np.array([[0], [1]]),
        operator=zeros,
        weight_bits=zeros,
        activation_bits=zeros,
    )
    return Space(blocks=("a", "b", "c"), choices=np.array([2, 2, 3]), genes=(tied, free))


def test_tied_blocks_share_a_gene() -> None:
    space = tied_space()
    assert space.size == 4
    assert space.decode(np.array([[0, 1], [1, 0]])).tolist() == [[0, 1, 2], [1, 0, 0]]
    assert space.encode(np.array([[1, 1, 0]])).tolist() == [[1, 1]]


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_encode_undoes_decode(counts: list[int], seed: int) -> None:
    space = Space.from_counts(counts)
    genes = np.random.default_rng(seed).integers(0, space.counts, size=(9, len(counts)))
    assert np.array_equal(space.encode(space.decode(genes)), genes)
    assert space.size == int(np.prod(counts))


def test_size_is_exact_beyond_64_bits() -> None:
    assert Space.from_counts([120] * 50).size == 120**50


def test_sample_reaches_every_genome_and_no_other() -> None:
    space = tied_space()
    drawn = {tuple(row) for row in space.sample(np.random.default_rng(0), 200).tolist()}
    assert drawn == {(0, 0, 2), (0, 1, 2), (1, 0, 0), (1, 1, 0)}


@pytest.mark.parametrize(
    ("genomes", "words"),
    [
        ([[0, 0]], r"need the shape \(n, 3\), got \(1, 2\)"),
        ([[0, 0, 2], [0, 2, 0]], r"genome 1 has the value 2 for block 'b', whose choices are 0 \.\. 1"),
        ([[0, -1, 2]], "genome 0 has the value -1 for block 'b'"),
        ([[0, 0, 1]], r"genome 0 gives a, c the choice \[0, 1\], which the ties"),
    ],
)
def test_genomes_outside_are_refused(genomes: list[list[int]], words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        tied_space().encode(np.array(genomes))


def test_counts_must_be_positive_and_named() -> None:
    with pytest.raises(ProblemError, match="block 'block1' has 0 choices"):
        Space.from_counts([2, 0])
    with pytest.raises(ProblemError, match="2 choice counts need as many block names, got 1"):
        Space.from_counts([2, 2], ["only"])


def test_additive_sums_by_hand() -> None:
    space = Space.from_counts([2, 2])
    additive = Additive(
        space=space,
        objectives=(np.array([[1.0], [2.0]]), np.array([[10.0], [20.0]])),
        offset=np.array([100.0]),
        limits=(np.array([[1.0], [3.0]]), np.array([[1.0], [3.0]])),
        bounds=np.array([4.0]),
        limit_names=("cost <= 4",),
    )
    objectives, excess = additive.sums(np.array([[0, 1], [1, 1]]))
    assert objectives.tolist() == [[121.0], [122.0]]
    assert excess.tolist() == [[0.0], [2.0]]


def test_narrow_integers_hold_as_many_options_as_int16_has_numbers() -> None:
    most = int(np.iinfo(np.int16).max)
    assert Space.from_counts([2, most]).narrow == np.dtype(np.int16)
    assert Space.from_counts([2, most + 1]).narrow == np.dtype(np.int64)
