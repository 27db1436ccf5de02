"""Importers against the figures that were published with the data."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import pytest
from scipy.stats import kendalltau

from evo_qnas.errors import TableError
from evo_qnas.problem import TableProblem
from evo_qnas.tables.importers import (
    detect_kind,
    import_apq,
    import_haq,
    import_hawq,
    import_macro,
    import_tables,
    read_macro,
)

HAWQ, HAQ = "hawqv3_resnet18.json", "haq_mobilenetv2_latency.npz"
APQ, MACRO = "apq_bitfusion_lut.npz", "nas_bench_macro_cifar10.npz"


@pytest.mark.parametrize(
    ("names", "points", "volume"),
    [
        (("score", "size_mb"), 29, 0.924124),
        (("score", "bops"), 24, 0.751121),
        (("score", "latency_ms"), 41, 0.762303),
        (("score", "size_mb", "latency_ms"), 90, 0.738659),
        (("score", "size_mb", "bops", "latency_ms"), 91, 0.616820),
    ],
)
def test_hawq_has_its_known_fronts(real_data: Path, names: tuple[str, ...], points: int, volume: float) -> None:
    problem = TableProblem(import_hawq(real_data / HAWQ), names)
    assert problem.space.size == 65_536
    values, _ = problem.evaluate(problem.space.decode(np.array(list(product((0, 1), repeat=16)))))
    scaled = (values - values.min(axis=0)) / np.ptp(values, axis=0)
    # Sums of equal parts in another order differ by rounding: nine digits tell real differences apart.
    scaled = np.unique(scaled.round(9), axis=0)
    front = scaled[moocore.is_nondominated(scaled, keep_weakly=False)]
    assert len(front) == points
    # The figures are printed to six digits.
    assert moocore.hypervolume(front, ref=np.ones(len(names))) == pytest.approx(volume, abs=5e-7)


def test_hawq_span_and_published_solutions(real_data: Path) -> None:
    tables = import_hawq(real_data / HAWQ)
    ends = np.array([[0] * 19, [1] * 19])
    low, high = tables.total("size_mb", ends)
    # The published limits are 25, 50 and 75 % of the span, printed to six digits.
    np.testing.assert_allclose(low + (high - low) * np.array([0.25, 0.5, 0.75]), [6.65039, 7.98047, 9.31055], rtol=1e-6)
    scores = {name: tables.total("score", np.array([genome]))[0] for name, genome in tables.baselines.items()}
    assert scores["resnet18 modelsize_0.25"] == pytest.approx(0.118300, abs=5e-7)
    assert scores["resnet18 bops_0.5"] == pytest.approx(0.215689, abs=5e-7)
    assert scores["resnet18 latency_0.75"] == pytest.approx(0.079965, abs=5e-7)
    assert tables.check() == []


def test_haq_costs(real_data: Path) -> None:
    tables = import_haq(real_data / HAQ)
    assert (len(tables.blocks), tables.choices.tolist()) == (53, [64] * 53)
    costs = {name: tables.total("cost", np.array([genome]))[0] for name, genome in tables.baselines.items()}
    assert costs == {"uniform8": 39_624_933.0, "preserve_0.6": 23_433_397.0}
    first = tables.blocks[0].labels[tables.baselines["preserve_0.6"][0]]
    assert first == ("layer", 8, 7)


def test_apq_adds_up_its_layers(real_data: Path) -> None:
    tables = import_apq(real_data / APQ)
    assert len(tables.blocks) == 21
    with np.load(real_data / APQ, allow_pickle=False) as arrays:
        key, latency, energy = arrays["key"], arrays["latency"], arrays["energy"]
        ends = arrays["head"] + arrays["tail"]
    # Block 5 works on 40 channels at 28 x 28 without stride.
    layers = [(40, 200, 28, 1, 1, 0, 1, 4, 6), (200, 200, 28, 5, 1, 2, 200, 4, 6), (200, 40, 28, 1, 1, 0, 1, 4, 6)]
    rows = [int(np.flatnonzero((key == layer).all(axis=1))[0]) for layer in layers]
    choice = tables.blocks[6].labels.index(("k5_w200", 4, 6))
    assert tables.columns["latency_ms"].values[6][choice] == pytest.approx(latency[rows].sum())
    assert tables.columns["energy_mj"].values[6][choice] == pytest.approx(energy[rows].sum())
    assert (tables.columns["latency_ms"].fixed, tables.columns["energy_mj"].fixed) == tuple(ends)
    # Every choice is there whose three layers were measured: 5 widths x (k3, k5: 9 bits, k7: 6 bits).
    assert len(tables.blocks[0]) == 5 * (9 + 9 + 6)
    assert ("k7_w64", 4, 4) not in tables.blocks[0].labels
    assert [finding.rule for finding in tables.check() if finding.severity == "error"] == []


def test_macro_fit_is_as_good_as_known(real_data: Path) -> None:
    tables, truth = import_macro(real_data / MACRO), read_macro(real_data / MACRO)
    assert (len(truth.genomes), tables.choices.tolist()) == (6561, [3] * 8)
    fit = tables.total("error", truth.genomes)
    explained = 1 - ((truth.error - fit) ** 2).sum() / ((truth.error - truth.error.mean()) ** 2).sum()
    assert explained == pytest.approx(0.694, abs=5e-4)
    assert kendalltau(truth.error, fit).statistic == pytest.approx(0.865, abs=5e-4)


def test_macro_fit_has_its_standard_errors(real_data: Path) -> None:
    tables, truth = import_macro(real_data / MACRO), read_macro(real_data / MACRO)
    errors = tables.columns["error"].stderr
    assert errors is not None
    # Balanced design: the difference of two operators' means over 2187 networks each.
    rest = truth.error - tables.total("error", truth.genomes)
    spread = np.sqrt((rest**2).sum() / (6561 - 17) * 2 / 2187)
    np.testing.assert_allclose([error[1:] for error in errors], spread, rtol=1e-6)


def test_kinds_are_told_by_content(real_data: Path, tmp_path: Path) -> None:
    kinds = {name: detect_kind(real_data / name) for name in (HAWQ, HAQ, APQ, MACRO)}
    assert kinds == {HAWQ: "hawq", HAQ: "haq", APQ: "apq", MACRO: "nas-bench-macro"}
    assert len(import_tables(real_data / HAQ).blocks) == 53
    np.savez(tmp_path / "x.npz", other=np.zeros(2))
    for name, words in [("x.npz", "the kind of .* cannot be told"), ("none.npz", "there is no file")]:
        with pytest.raises(TableError, match=words):
            detect_kind(tmp_path / name)
    with pytest.raises(TableError, match="no kind of source 'onnx'; there are: csv, hawq"):
        import_tables(real_data / HAQ, kind="onnx")


GOOD: dict[str, Any] = {
    "Hutchinson_trace": [1.0, 2.0],
    "delta_weights_4bit_square": [3.0, 4.0],
    "delta_weights_8bit_square": [0.5, 0.25],
}


def test_hawq_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps({"table": GOOD, "ties": [[0, 1]]}))
    tables = import_hawq(path)
    assert [values.tolist() for values in tables.columns["score"].values] == [[3.0, 0.5], [8.0, 0.5]]
    assert list(tables.columns) == ["score"]
    assert tables.ties == (("layer0", "layer1"),)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "has no 'table'"),
        ({"table": {}}, "has no 'Hutchinson_trace'"),
        ({"table": {"Hutchinson_trace": [1.0]}}, "has no delta_weights_<bits>bit_square"),
        ({"table": {**GOOD, "Hutchinson_trace": ["x", 1]}}, "must be a row of numbers"),
        ({"table": {**GOOD, "parameters": [1.0]}}, "parameters must have one number for each of 2 layers"),
        ({"table": GOOD, "layer_names": ["a"]}, "has 1 layer_names and 2 traces"),
        ({"table": GOOD, "ties": [[0, 7]]}, "ties must be lists of layer numbers below 2"),
        ({"table": GOOD, "ties": 3}, "ties must be a list of lists"),
    ],
)
def test_odd_hawq_files_are_one_sentence(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps(content))
    with pytest.raises(TableError, match=words):
        import_hawq(path)


def test_objects_and_damage_in_npz_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, lut=np.array([{"a": 1}], dtype=object))
    with pytest.raises(TableError, match="holds objects"):
        import_haq(path)
    np.savez(path, lut=np.zeros((2, 2)))
    with pytest.raises(TableError, match=r"must be numbers of shape \(layers, weight bits, activation bits\)"):
        import_haq(path)
    np.savez(path, other=np.zeros(2))
    with pytest.raises(TableError, match="has no array 'lut'; there are: other"):
        import_haq(path)
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(TableError, match=r"x\.npz cannot be read"):
        import_haq(path)


def test_haq_policies_are_checked(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", lut=np.arange(8.0).reshape(2, 2, 2))
    policy = tmp_path / "p.json"
    policy.write_text('{"mine": [[1, 2], [2, -1]]}')
    tables = import_haq(tmp_path / "x.npz", policy=policy)
    # -1 bits read index -2 of two columns: the first.
    assert dict(tables.baselines) == {"mine": (1, 2)}
    for text, words in [
        ('{"mine": [[1, 2]]}', r"needs the shape \(2, 2\), got \(1, 2\)"),
        ('{"mine": [[1, 3], [1, 1]]}', "has bits outside"),
        ("[1", "is no JSON that can be used"),
    ]:
        policy.write_text(text)
        with pytest.raises(TableError, match=words):
            import_haq(tmp_path / "x.npz", policy=policy)
