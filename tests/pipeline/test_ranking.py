"""Validated networks against each other, on numbers worked out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evo_qnas.networks.tasks.classification import Classification
from evo_qnas.pipeline.validation import keep_validated, ranked
from evo_qnas.problem import TableProblem
from evo_qnas.search import search
from evo_qnas.summary import ValidatedNetwork
from evo_qnas.tables.generate import generate_tables
from tests.networks.tasks.test_own_task import Regression

TASK = Classification()


def network(name: str, metric: float, size: int, images: int = 1000, **more: Any) -> ValidatedNetwork:
    """A network of a classification task, with the binomial standard error of its accuracy."""
    values = {
        "genome": (0,),
        "blocks": (),
        "metric_before_finetune": 0.0,
        "metric_search_split": 0.0,
        "metric_stderr": np.sqrt(abs(metric * (1.0 - metric)) / images),
    }
    return ValidatedNetwork(id=name, metric=metric, size_bytes=size, **{**values, **more})


def test_dominated_networks_name_the_best_that_beats_them() -> None:
    networks = [network("a", 0.99, 100), network("b", 0.98, 50), network("c", 0.97, 80), network("d", 0.98, 60)]
    assert [one.dominated_by for one in ranked(networks, TASK)] == [None, None, "b", "b"]


def test_a_minimised_metric_is_better_where_it_is_smaller() -> None:
    """`a` and `b` are the front; `c` is beaten by `b` alone, `d` by both, of which `a` has the smaller error."""
    task = Regression()
    errors = {"a": (1.0, 100), "b": (2.0, 50), "c": (3.0, 80), "d": (3.0, 120)}
    networks = [network(name, *pair, metric_stderr=0.1) for name, pair in errors.items()]
    squares = {name: torch.full((8,), error**2) for name, (error, _) in errors.items()}
    results = ranked(networks, task, baseline="d", outcomes=squares)
    assert [one.dominated_by for one in results] == [None, None, "b", "a"]
    lead = results[0].minus_teacher_int8
    assert lead is not None
    assert (lead.metric, lead.stderr) == (-2.0, 0.0)


def test_equal_networks_do_not_dominate_each_other() -> None:
    networks = [network("a", 0.9, 50), network("b", 0.9, 50)]
    assert [one.dominated_by for one in ranked(networks, TASK)] == [None, None]


def test_ties_follow_standard_errors() -> None:
    """0.90 on 400 images has a standard error of 0.015: 0.90 and 0.93 (0.0128) differ by 1.52 errors of 0.0197."""
    few, fewer = (
        ranked([network("a", 0.90, 10, images), network("b", 0.93, 20, images), network("c", 0.97, 30, images)], TASK)
        for images in (400, 100)
    )
    assert [one.tied_with for one in few] == [("b",), ("a",), ()]
    assert fewer[1].tied_with == ("a", "c")


def test_the_same_images_tell_networks_apart_that_independent_ones_would_not() -> None:
    """0.90 and 0.93 of 400 images, all that `a` gets right right in `b` too: 0.03 is 3.5 errors of 0.0085."""
    a, b = torch.zeros(400, dtype=torch.int32), torch.zeros(400, dtype=torch.int32)
    a[:360], b[:372] = 1, 1
    networks = [network("a", 0.90, 10, 400), network("b", 0.93, 20, 400)]
    results = ranked(networks, TASK, baseline="b", outcomes={"a": a, "b": b})
    assert [one.tied_with for one in results] == [(), ()]
    lead = results[0].minus_teacher_int8
    assert lead is not None
    assert lead.metric == pytest.approx(-0.03)
    assert lead.stderr == pytest.approx(np.sqrt((0.03 - 0.03**2) / 400))
    assert results[1].minus_teacher_int8 is None
    unpaired = ranked(networks, TASK, baseline="b", outcomes={"a": a})
    assert [one.tied_with for one in unpaired] == [("b",), ("a",)]
    assert unpaired[0].minus_teacher_int8 is not None
    assert unpaired[0].minus_teacher_int8.stderr is None


def test_a_network_without_an_error_is_tied_with_none() -> None:
    networks = [
        network("a", 0.5, 10, metric_stderr=0.01),
        network("b", 0.51, 20, metric_stderr=0.01),
        network("c", 0.52, 30, metric_stderr=None),
    ]
    assert [one.tied_with for one in ranked(networks, TASK)] == [("b",), ("a",), ()]
    assert ranked([], TASK) == ()


def test_validated_networks_are_kept_in_the_archive_once(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    archive = search(TableProblem(generate_tables(3)), evaluations=50, path=path)
    genome = tuple(archive.front.genomes[0].tolist())
    more = {"genome": genome, "metric_before_finetune": 0.8, "metric_search_split": 0.85, "round": 2}
    networks = ranked([network("a", 0.9, 10, **more)], TASK)
    kept = keep_validated(archive, networks)
    assert dict(kept.validated[0].before) == {"metric": 0.8}
    assert kept.validated[0].after["metric_search_split"] == 0.85
    assert kept.validated[0].after["round"] == 2.0
    stamp = path.stat().st_mtime_ns
    again = keep_validated(type(archive).load(path), networks)
    assert path.stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(again.validated[0].genome, genome)
