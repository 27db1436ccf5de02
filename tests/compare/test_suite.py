"""The suite card: every problem can be set up, and its front is the one that is written down."""

from pathlib import Path

import numpy as np
import pytest

from evo_qnas.cards import find_card, list_cards
from evo_qnas.compare import reference_of
from evo_qnas.compare.suite import CaseCard, is_suite, load_suite, make_case, read_suite
from evo_qnas.errors import CardError
from evo_qnas.pareto import hypervolume
from evo_qnas.search import ALGORITHMS

CARD, PATH = read_suite("suite")
FOREIGN = {"file", "nas-bench-macro"}


EXACT = [case for case in CARD.cases if case.front.points is not None]


@pytest.mark.parametrize("case", EXACT, ids=[case.name for case in EXACT])
def test_fronts_are_those_written_down(case: CaseCard, request: pytest.FixtureRequest) -> None:
    if case.source.kind in FOREIGN:
        request.getfixturevalue("real_data")
    known = make_case(case, PATH).known_front()
    assert known is not None
    assert known.exact
    reference = reference_of(known, [])
    assert (len(reference.points), reference.point) == (case.front.points, 1.0)
    assert reference.volume == pytest.approx(case.front.hypervolume, abs=6e-7)


@pytest.mark.parametrize(("name", "volume"), [("macro-params", 0.974273), ("macro-flops", 0.902775)])
def test_published_hypervolume_of_macro(real_data: Path, name: str, volume: float) -> None:
    """The data's own figures scale by the range of all networks, the suite by that of the front."""
    case = load_suite(only=[name]).cases[0]
    codes = np.load(real_data / "nas_bench_macro_cifar10.npz", allow_pickle=False)["codes"].astype(np.int64)
    values = case.problem.evaluate(codes)[0]
    low, high = values.min(axis=0), values.max(axis=0)
    assert hypervolume((values - low) / (high - low), np.ones(2)) == pytest.approx(volume, abs=6e-7)


def test_suite_card_is_sound() -> None:
    assert set(CARD.algorithms) <= set(ALGORITHMS)
    assert CARD.against in CARD.algorithms
    assert "suite" in list_cards("problems")
    assert is_suite("suite")
    assert is_suite(str(find_card("problems", "suite")))
    assert not is_suite("digits")
    assert not is_suite("nothing")
    assert not is_suite("tables.h5")


def test_absent_data_is_skipped_with_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EVO_QNAS_DATA", str(tmp_path))
    suite = load_suite()
    assert set(suite.skipped) == {case.name for case in CARD.cases if case.source.kind in FOREIGN}
    assert "set EVO_QNAS_DATA" in suite.skipped["hawq-size"]
    assert len(suite.cases) + len(suite.skipped) == len(CARD.cases)


def test_patterns_choose_problems() -> None:
    assert [case.name for case in load_suite(only=["generated-8*", "noisy"]).cases] == [
        "generated-8",
        "generated-8-latency",
        "noisy",
    ]
    with pytest.raises(CardError, match=r"has no problem 'genrated-8'; the nearest are: .*generated-8"):
        load_suite(only=["genrated-8"])


def test_own_suite_beside_its_tables(tmp_path: Path) -> None:
    from evo_qnas.tables.generate import generate_tables

    generate_tables(3, operators=2).save(tmp_path / "mine.h5")
    (tmp_path / "mine.toml").write_text(
        'kind = "suite"\ntitle = "t"\nalgorithms = ["random"]\n[[cases]]\nname = "a"\nabout = "b"\n'
        'front = { by = "sums" }\nsource = { kind = "file", file = "mine.h5", objectives = ["score", "size_bytes"], '
        'constraints = ["latency_ms <= 2.5"] }\n',
        encoding="utf-8",
    )
    case = load_suite(str(tmp_path / "mine.toml")).cases[0]
    assert len(case.problem.constraints) == 1
    text = (tmp_path / "mine.toml").read_text(encoding="utf-8").replace('about = "b"\n', "")
    (tmp_path / "broken.toml").write_text(text, encoding="utf-8")
    with pytest.raises(CardError, match=r"the key 'cases.0.about' is missing"):
        load_suite(str(tmp_path / "broken.toml"))
