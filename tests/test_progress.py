"""Progress: lines where there is no terminal, a bar in notebooks, nothing where it is not wanted."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from evo_qnas import progress
from evo_qnas.progress import Verbosity, announce, duration, level, progress_bar, verbosity


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that stands until it is set."""
    made = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: made.now)
    return made


def test_lines_come_at_intervals_with_the_time_left(clock: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("blocks", 50) as advance:
        for _ in range(50):
            clock.now += 2.0
            advance(1)
    assert capsys.readouterr().err.splitlines() == [
        "evo-qnas: blocks: 5 of 50 in 0:10, 1:30 left",
        "evo-qnas: blocks: 35 of 50 in 1:10, 0:30 left",
        "evo-qnas: blocks: 50 in 1:40",
    ]


@pytest.mark.parametrize(("wish", "lines"), [(Verbosity.NORMAL, 0), (Verbosity.QUIET, 0), (Verbosity.VERBOSE, 1)])
def test_what_is_short_is_a_detail(wish: Verbosity, lines: int, clock: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with verbosity(wish), progress_bar("short", 2) as advance:
        clock.now += 1.0
        advance(2)
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_a_quiet_block_says_nothing(clock: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with verbosity(Verbosity.QUIET):
        announce("stage 1 of 2: teacher")
        with progress_bar("long", 2) as advance:
            clock.now += 500.0
            advance(1)
    assert level() is Verbosity.NORMAL
    assert capsys.readouterr().err == ""


def test_steps_are_announced_where_no_bar_is(capsys: pytest.CaptureFixture[str]) -> None:
    announce("stage 1 of 2: teacher")
    announce("took 0:01", detail=True)
    with verbosity(Verbosity.VERBOSE):
        announce("took 0:02", detail=True)
    assert capsys.readouterr().err.splitlines() == ["evo-qnas: stage 1 of 2: teacher", "evo-qnas: took 0:02"]


def test_a_notebook_gets_a_bar(clock: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, bool]] = []

    def display(text: str, *, display_id: object, update: bool = False) -> SimpleNamespace:
        drawn.append((text, update))
        return SimpleNamespace(display_id="one")

    modules = {name: ModuleType(name) for name in ("IPython", "IPython.display", "ipykernel")}
    vars(modules["IPython"]).update(get_ipython=SimpleNamespace)
    vars(modules["IPython.display"]).update(HTML=str, display=display)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    with progress_bar("a <b>", 10) as advance:
        clock.now += 5.0
        advance(5)
        advance(1)  # at once: not drawn
    assert [update for _, update in drawn] == [False, True, True]
    assert drawn[1][0] == '<div><progress value="5" max="10"></progress> a &lt;b&gt;: 5 of 10 in 0:05, 0:05 left</div>'
    assert capsys.readouterr().err == ""


def test_durations_are_read_at_a_glance() -> None:
    assert [duration(value) for value in (0.4, 59.6, 3661.0)] == ["0:00", "1:00", "1:01:01"]
