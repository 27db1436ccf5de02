"""Validated networks against each other, on numbers worked out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evo_qnas.networks.tasks.base import TASKS
from evo_qnas.pipeline.reranking import keep_validated, rerank
from evo_qnas.problem import TableProblem
from evo_qnas.search import search
from evo_qnas.tables.generate import generate_tables


def entry(name: str, metric: float, size: int, **more: Any) -> dict[str, Any]:
    return {"id": name, "metric": metric, "size_bytes": size, **more}


def of_images(images: int, *entries: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries with the standard error of an accuracy on so many images."""
    classification = TASKS.get("classification")
    for found in entries:
        right = (torch.arange(images) < round(found["metric"] * images)).int()
        found["metric_stderr"] = classification.stderr(right, seed=0)
    return list(entries)


def test_dominated_networks_name_the_best_that_beats_them() -> None:
    entries = [entry("a", 0.99, 100), entry("b", 0.98, 50), entry("c", 0.97, 80), entry("d", 0.98, 60)]
    rerank(entries, task="classification")
    assert [e["dominated_by"] for e in entries] == [None, None, "b", "b"]


def test_equal_networks_do_not_dominate_each_other() -> None:
    entries = [entry("a", 0.9, 50), entry("b", 0.9, 50)]
    rerank(entries, task="classification")
    assert [e["dominated_by"] for e in entries] == [None, None]


def test_ties_follow_binomial_standard_errors() -> None:
    """0.90 on 400 images has a standard error of 0.015: 0.90 and 0.93 (0.0128) differ by 1.52 errors of 0.0197."""
    entries = of_images(400, entry("a", 0.90, 10), entry("b", 0.93, 20), entry("c", 0.97, 30))
    rerank(entries, task="classification")
    assert entries[0]["metric_stderr"] == pytest.approx(0.015)
    assert entries[0]["tied_with"] == ["b"]
    assert entries[1]["tied_with"] == ["a"]
    assert entries[2]["tied_with"] == []
    rerank(of_images(100, *entries), task="classification")
    assert entries[1]["tied_with"] == ["a", "c"]


def test_the_same_images_tell_networks_apart_that_independent_ones_would_not() -> None:
    """0.90 and 0.93 of 400 images, all that `a` gets right right in `b` too: 0.03 is 3.5 errors of 0.0085."""
    a, b = torch.zeros(400, dtype=torch.int32), torch.zeros(400, dtype=torch.int32)
    a[:360], b[:372] = 1, 1
    entries = of_images(400, entry("a", 0.90, 10), entry("b", 0.93, 20))
    rerank(entries, task="classification", baseline="b", outcomes={"a": a, "b": b})
    assert [e["tied_with"] for e in entries] == [[], []]
    apart = entries[0]["minus_teacher_int8"]
    assert apart["metric"] == pytest.approx(-0.03)
    assert apart["stderr"] == pytest.approx(np.sqrt((0.03 - 0.03**2) / 400))
    assert entries[1]["minus_teacher_int8"] is None
    rerank(entries, task="classification", baseline="b", outcomes={"a": a})
    assert [e["tied_with"] for e in entries] == [["b"], ["a"]]
    assert entries[0]["minus_teacher_int8"]["stderr"] is None


def test_networks_bring_their_own_errors_or_none() -> None:
    entries = [entry("a", 0.5, 10, metric_stderr=0.01), entry("b", 0.51, 20, metric_stderr=0.01), entry("c", 0.52, 30)]
    rerank(entries, task="segmentation")
    assert [e["tied_with"] for e in entries] == [["b"], ["a"], []]
    assert entries[2]["metric_stderr"] is None


def test_validated_networks_are_kept_in_the_archive_once(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    archive = search(TableProblem(generate_tables(3)), evaluations=50, path=path)
    genome = archive.front.genomes[0].tolist()
    networks = [entry("a", 0.9, 10, genome=genome, metric_before_finetune=0.8, metric_search_split=0.85, round=2)]
    rerank(networks, task="classification")
    kept = keep_validated(archive, networks)
    assert dict(kept.validated[0].before) == {"metric": 0.8}
    assert kept.validated[0].after["metric_search_split"] == 0.85
    stamp = path.stat().st_mtime_ns
    again = keep_validated(type(archive).load(path), networks)
    assert path.stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(again.validated[0].genome, genome)
