"""The page of an archive or run folder."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas.errors import PictureError
from evo_qnas.plots import Subject
from evo_qnas.plots.canvas import Axis
from evo_qnas.plots.gain import steps_of
from evo_qnas.report.content import archive_content
from evo_qnas.report.markup import fold, pairs, section, table, text
from evo_qnas.report.page import asset, build_page
from evo_qnas.report.validated import validated_section
from evo_qnas.report.verdict import verdict_section
from evo_qnas.summary import RunSummary
from evo_qnas.tables.parts import bits_in_words

# Longer files are no cards. Chosen, not measured.
_LONGEST_CARD = 1 << 20


def archive_page(subject: Subject) -> str:
    """The page as HTML.

    Raises:
        PictureError: the run's `summary.json` lacks what a run writes.
    """
    if subject.summary is None:
        return _page(subject)
    try:
        return _page(subject)
    except (KeyError, TypeError, AttributeError) as error:
        raise PictureError(f"the summary.json of {subject.name} lacks what a run writes: {error!r}") from error


def _page(subject: Subject) -> str:
    """The page of a complete subject."""
    archive = subject.archive
    content = archive_content(subject)
    run = None if content["validation"] is None else RunSummary.model_validate(subject.summary)
    lead, parts = _lead(subject, content), []
    if run is not None:
        parts += [verdict_section(run, subject.folder), validated_section(run), _searched(lead)]
        lead = [
            f"A run of the card {run.card}, seed {run.seed}: {run.metric.name} on {run.images.get('test', 0):,} test "
            "examples."
        ]
    if len(archive.front):
        parts += [asset("front.html"), *_gain(subject)]
    parts += [asset("history.html"), _provenance(subject)]
    return build_page(subject.name, lead, parts, content)


def _searched(lead: Sequence[str]) -> str:
    """What the search came to, between what was validated and its front."""
    return section("search", "The search", "".join(f"<p>{text(sentence)}</p>" for sentence in lead))


def _lead(subject: Subject, content: Mapping[str, Any]) -> list[str]:
    """The subject of the page in a few sentences."""
    archive = subject.archive
    names = " and ".join(info.name for info in archive.header.objectives)
    limits = "; limits: " + ", ".join(info.name for info in archive.header.constraints)
    lines = [
        f"{len(archive.front):,} networks on the front of {names}, out of {len(archive):,} evaluations by "
        f"{archive.header.algorithm}{limits if archive.header.constraints else ''}."
    ]
    share = content["history"]["share"]
    if content["exact"] is not None and share:
        lines.append(
            f"The exact front has {content['exact_points']:,} networks; the search reached "
            f"{_percent(share[-1])} of its hypervolume."
        )
    proof = ((subject.summary or {}).get("search") or {}).get("certificate")
    if content["exact"] is None and proof:
        lines.append(f"{proof}.")
    if not archive.finished:
        lines.append("This search has not come to its end: the same command goes on with it.")
    if not len(archive.front):
        lines.append("No evaluated network meets all limits, so there is no front to show.")
    return lines


def _percent(share: float) -> str:
    """A share in words, rounded down, so that none below 1 reads as all.

    Example:
        >>> _percent(0.9999999), _percent(1.0)
        ('99.999 %', 'all')
    """
    return "all" if share == 1.0 else f"{math.floor(1e5 * share) / 1e3:.3f} %"


def _gain(subject: Subject) -> list[str]:
    """The gain of the next step of each block, around the knee; empty where it cannot be worked out."""
    archive, problem = subject.archive, subject.problem
    infos = archive.header.objectives
    if problem is None or archive.tables is None or len(infos) < 2:
        return []
    knee = archive.knee()
    axes = [Axis.of(info, archive.front.objectives[:, column]) for column, info in enumerate(infos[:2])]
    factor = axes[1].divisor / axes[0].divisor
    first, second = (axis.label.rpartition(" (")[0] for axis in axes)
    rows: list[list[Any]] = []
    for name, down, up in steps_of(problem, knee.genomes[0], quality=0, cost=1):
        row: list[Any] = [name]
        for step in (up, down):
            row += [None, None] if np.isnan(step.rate) else [step.rate * factor, _changed(subject, knee, step.genome)]
        rows.append(row)
    note = (
        f"From the knee of the front, one block changed, all others kept. Rates are {first} for each unit of {second}."
    )
    return [
        section(
            "gain",
            "What the next step in each block buys",
            table(["block", "gained by spending", "step up", "lost by saving", "step down"], rows, caption=note),
        )
    ]


def _changed(subject: Subject, knee: Any, genome: tuple[int, ...]) -> str:
    """The choice that a step leads to, in words."""
    tables = subject.tables
    if tables is None:
        return ""
    for block, old, new in zip(tables.blocks, knee.genomes[0], genome, strict=True):
        if old != new:
            operator, weight, activation = block.labels[new]
            return f"{operator} {bits_in_words(weight, activation)}".rstrip()
    return ""


def _provenance(subject: Subject) -> str:
    """Card, seed, versions, command: what it takes to make this again."""
    archive = subject.archive
    header, summary = archive.header, subject.summary or {}
    facts: dict[str, Any] = {
        "card": summary.get("card"),
        "command": summary.get("command") or archive.extras.get("command"),
        "seed": summary.get("seed", header.seed),
        "algorithm": header.algorithm,
        "settings": json.dumps(dict(header.settings)),
        "seed of the search": header.seed if "seed" in summary else None,
        "evaluations": f"{len(archive):,}",
        "objectives": ", ".join(f"{i.name} ({'more' if i.maximize else 'less'} is better)" for i in header.objectives),
        "limits": ", ".join(info.name for info in header.constraints) or None,
        "fingerprint of the problem": header.fingerprint or None,
        "hardware": _words(summary.get("hardware")),
        "versions": _words(summary.get("versions") or archive.versions),
        "seconds per stage": _words(summary.get("seconds")),
    }
    body = pairs(facts)
    if subject.folder is not None:
        body += _card(subject.folder / "card.toml")
    body += fold("Description of the problem", json.dumps(dict(header.problem), indent=1))
    if archive.tables is not None:
        columns = [[c.name, c.unit, c.direction, c.fixed, c.source or None] for c in archive.tables.columns.values()]
        body += table(["column", "unit", "direction", "fixed part", "source"], columns, caption="Columns of the tables")
    return section("provenance", "Where this comes from", body)


def _card(path: Path) -> str:
    """The resolved card of a run, where there is one."""
    if not path.is_file() or path.stat().st_size > _LONGEST_CARD:
        return ""
    return fold("Card of the run", path.read_text(encoding="utf-8", errors="replace"))


def _words(values: Any) -> str | None:
    """A mapping in one line."""
    if not isinstance(values, Mapping) or not values:
        return None
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)
