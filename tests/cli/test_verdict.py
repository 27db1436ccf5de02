"""The end of a run in the terminal, and `evo-qnas check` of a run folder."""

import json
import shutil
from html import unescape
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from evo_qnas.cli import app
from evo_qnas.cli.run_table import show_run
from evo_qnas.errors import CardError
from evo_qnas.pipeline.stored import open_run
from evo_qnas.report.verdict import verdict_section
from evo_qnas.summary import RunSummary
from evo_qnas.terminal import make_console

REFERENCE = Path(__file__).resolve().parent.parent.parent / "results" / "reference"
DIGITS, CAMVID = REFERENCE / "digits", REFERENCE / "camvid"


def summary_of(folder: Path) -> RunSummary:
    return RunSummary.model_validate_json((folder / "summary.json").read_text(encoding="utf-8"))


def narrow() -> Console:
    return make_console(width=80, record=True)


@pytest.mark.parametrize("folder", [DIGITS, CAMVID])
def test_the_table_fits_80_columns_with_errors_and_no_minus_zero(folder: Path) -> None:
    console = narrow()
    with console.capture() as captured:
        show_run(console, summary_of(folder))
    lines = captured.get().splitlines()
    rows = [line for line in lines if "±" in line and "%" in line]
    assert len(rows) == len(summary_of(folder).networks)
    assert max(map(len, lines)) <= 80
    assert "-0 %" not in captured.get()
    assert "…" not in captured.get()


def test_a_network_one_image_behind_is_within_noise() -> None:
    """99.11 against 99.33 % of 450 images: one image."""
    console = narrow()
    with console.capture() as captured:
        show_run(console, summary_of(DIGITS))
    row = next(line for line in captured.get().splitlines() if "954927b2" in line)
    assert ("noise" in row, "beaten" in row) == (True, False)
    assert "99.1 ± 0.4 %" in captured.get()


def test_check_of_a_folder_gives_the_verdict_and_the_command_that_exports() -> None:
    done = CliRunner().invoke(app, ["check", str(DIGITS)])
    assert done.exit_code == 0, done.output
    assert "Best network b888235e: 50 % smaller than the INT8 teacher" in " ".join(done.output.split())
    assert f"evo-qnas export {DIGITS} --network b888235e -o b888235e.onnx" in done.output
    found = json.loads(CliRunner().invoke(app, ["check", str(DIGITS), "--json"]).output)
    assert found["network"] == "b888235e"
    assert {"baseline", "int8_latency", "few_bits"} <= {finding["check"] for finding in found["findings"]}


def test_a_folder_of_python_is_shown_with_the_line_of_python_and_refused_with_it(tmp_path: Path) -> None:
    shutil.copy(DIGITS / "summary.json", tmp_path)
    (tmp_path / "card.toml").write_text('seed = 0\n[workload]\nmodel = "906f"\n', encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert 'study.network("b888235e").export("b888235e.onnx")' in done.output
    assert "evo-qnas export" not in done.output
    page = unescape(verdict_section(summary_of(DIGITS), tmp_path))
    assert 'study.network("b888235e").export("b888235e.onnx")' in page
    assert "evo-qnas export" not in page
    with pytest.raises(CardError, match=r"made by a Study in Python.*study\.network\(ID\)\.export"):
        open_run(tmp_path)


def test_a_bad_finding_is_exit_code_1(tmp_path: Path) -> None:
    content = json.loads((DIGITS / "summary.json").read_text(encoding="utf-8"))
    content["rank_correlation"] |= {"low": -0.1}
    (tmp_path / "summary.json").write_text(json.dumps(content), encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert done.exit_code == 1
    assert "bad" in done.output


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert "holds no summary.json: give a problem card, or the folder of a finished run" in str(done.exception)
