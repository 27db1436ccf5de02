"""Validated networks in pictures: errors, markers, and names that cover nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evo_qnas.plots import plot_run
from evo_qnas.plots.canvas import baseline_marker, new_figure
from evo_qnas.plots.labels import label_points
from evo_qnas.plots.measured import draw_measured, errors_of, numbers_of
from evo_qnas.summary import Metric
from evo_qnas.tables import Tables

REFERENCE = Path(__file__).resolve().parent.parent.parent / "results" / "reference"
SHARE = Metric(name="accuracy", maximize=True, unit="%")
CAMVID = json.loads((REFERENCE / "camvid" / "summary.json").read_text(encoding="utf-8"))["networks"]


def panel_of(figure: Figure, points: np.ndarray) -> Axes:
    panel = figure.subplots()
    panel.set_xlim(points[:, 0].min() - 1, points[:, 0].max() + 1)
    panel.set_ylim(points[:, 1].min() - 1, points[:, 1].max() + 1)
    return panel


def test_error_bars_are_those_of_the_paired_difference_where_it_is_known() -> None:
    panel = new_figure(6.0, 4.0, "").subplots()
    draw_measured(panel, numbers_of(CAMVID, "latency_ms"), CAMVID, SHARE)
    errors, words = errors_of(CAMVID)
    assert words == " of the difference from INT8"
    assert errors is not None
    np.testing.assert_allclose(errors, [network["minus_teacher_int8"]["stderr"] for network in CAMVID])
    (container,) = panel.containers
    (segments,) = container[2]
    heights = [np.ptp(segment[:, 1]) / 2 for segment in segments.get_segments()]
    np.testing.assert_allclose(heights, 100 * errors)


def test_without_paired_errors_those_of_the_metric_alone_or_none_are_drawn() -> None:
    alone = [{**network, "minus_teacher_int8": None} for network in CAMVID]
    errors, words = errors_of(alone)
    assert words == ""
    assert errors is not None
    np.testing.assert_allclose(errors, [network["metric_stderr"] for network in CAMVID])
    assert errors_of([{**alone[0], "metric_stderr": None}, alone[1]]) == (None, "")
    assert errors_of([]) == (None, "")


def test_names_cover_no_point_bar_or_other_name() -> None:
    points = np.array([[1.0, 1.0], [1.2, 1.0], [1.4, 1.0], [3.0, 3.0], [np.nan, 1.0]])
    bars, others = np.full(5, 0.4), np.array([[3.4, 3.0]])
    figure = new_figure(6.0, 4.0, "")
    panel = panel_of(figure, points[:4])
    label_points(panel, points, ["abcdefgh"] * 5, bars=bars, others=others)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in panel.texts]
    assert len(boxes) == 4
    places = panel.transData.transform(np.concatenate([points[:4], others]))
    assert not any(box.contains(*place) for box in boxes for place in places)
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_a_name_without_room_is_left_out() -> None:
    points = np.array([[0.0, 0.0]])
    figure = new_figure(0.6, 0.6, "")
    panel = panel_of(figure, points)
    label_points(panel, points, ["a name that is far too long for this"])
    assert not panel.texts


@pytest.mark.parametrize(
    "names", [["teacher_int4", "teacher_int8", "b", "a"], ["b", "a", "teacher_int8", "teacher_int4"]]
)
def test_a_baseline_keeps_its_marker_whatever_the_order(names: list[str]) -> None:
    assert [baseline_marker(name, names) for name in ("teacher_int8", "teacher_int4", "a", "b")] == ["s", "D", "^", "v"]


def test_the_picture_of_a_run_has_search_size_and_latency(tmp_path: Path) -> None:
    summary = json.loads((REFERENCE / "camvid" / "summary.json").read_text(encoding="utf-8"))
    tables = Tables.load(REFERENCE / "camvid" / "tables.h5")
    front = np.array([network["genome"] for network in CAMVID])
    plot_run(summary, tables, front, tmp_path / "timed.svg")
    untimed = summary | {"networks": [network | {"latency_ms": None} for network in CAMVID], "teacher_int8": None}
    plot_run(untimed, tables, front, tmp_path / "untimed.svg")
    assert (tmp_path / "untimed.svg").stat().st_size < (tmp_path / "timed.svg").stat().st_size
