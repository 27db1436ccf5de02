"""The record of visited gene values against a plain dictionary."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.search.visited import Visited
from evo_qnas.spaces import Space


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["filter_new", "add", "mark", "ask"]), min_size=1, max_size=12), st.integers(0, 10**6))
def test_visited_against_a_plain_dictionary(calls: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = Space.from_counts([3, 2, 300])
    visited = Visited(space)
    rows: dict[tuple[int, ...], int] = {}

    def drawn() -> np.ndarray:
        return rng.integers(0, [3, 2, 4], size=(int(rng.integers(0, 9)), 3))

    for call in calls:
        values = drawn()
        wanted = list(dict.fromkeys(row for row in map(tuple, values.tolist()) if row not in rows))
        if call == "filter_new":
            assert list(map(tuple, visited.filter_new(values).tolist())) == wanted
        elif call == "ask":
            # As a search does: leave out the visited ones, cut, add, and mark the same array again.
            asked = visited.leading(visited.filter_new(values), 4)
            assert list(map(tuple, asked.tolist())) == wanted[:4]
            numbers, fresh = visited.add(asked)
            assert numbers.tolist() == list(range(len(rows), len(rows) + len(asked)))
            assert fresh.all()
            visited.mark(asked)
            rows |= {row: len(rows) + index for index, row in enumerate(map(tuple, asked.tolist()))}
        elif call == "add":
            numbers, fresh = visited.add(values)
            for row, number, new in zip(map(tuple, values.tolist()), numbers.tolist(), fresh.tolist(), strict=True):
                assert new == (row not in rows)
                assert number == rows.setdefault(row, len(rows))
        else:
            visited.mark(values)
            for row in wanted:
                rows[row] = len(rows)
        assert len(visited) == len(rows)
