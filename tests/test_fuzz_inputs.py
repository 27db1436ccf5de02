"""A few damaged files for every reader, by a seed; `python -m benchmarks.fuzz_inputs` tries thousands, under limits."""

from pathlib import Path

import pytest

from benchmarks.fuzzing import READERS
from benchmarks.fuzzing.reader import try_case

CASES = 6
SLOW = ("kept-files",)  # a whole run for each case


@pytest.mark.filterwarnings("ignore")  # readers of others warn of what they are handed
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in READERS]
)
def test_damaged_files_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    reader, good = READERS[name], tmp_path / "good"
    good.mkdir()
    reader.make_good(good)
    for index in range(CASES):
        case = tmp_path / f"case-{index}"
        case.mkdir()
        monkeypatch.chdir(case)
        what, ending, _ = try_case(reader, good, case, 2026, index)
        # Seconds are for the benchmark: a test may share its processor.
        assert ending.split()[0] in {"read", "refused"} or ending.startswith("BAD took"), (index, what, ending)
