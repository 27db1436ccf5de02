"""The section of a run's validated networks."""

from typing import Any

from evo_qnas.report.markup import section, table, text
from evo_qnas.report.page import asset
from evo_qnas.summary import Int8Teacher, RunSummary, ValidatedNetwork, percent, significant
from evo_qnas.summary.best import lead_of

Entry = ValidatedNetwork | Int8Teacher


def validated_section(run: RunSummary) -> str:
    """A table of the networks that were trained and measured, their chart, all measurements, and what they mean.

    Args:
        run: with at least one network.
    """
    body = [
        table(*_columns(_standings(run)), caption=_caption(run)),
        asset("validation.html"),
        "<details><summary>All measurements</summary>",
        table(
            *_columns(_measurements(run)), caption="All measurements; columns that the run did not fill are left out."
        ),
        "</details>",
        f"<ul>{''.join(f'<li>{text(note)}</li>' for note in notes(run))}</ul>",
    ]
    return section("validation", "Validated networks", "".join(body))


def notes(run: RunSummary) -> list[str]:
    """The meaning of the tables' numbers, a sentence each."""
    metric, networks = run.metric, run.networks
    found = [f"The teacher in float has {metric.format(run.teacher_float.metric)}."]
    if networks and all(network.metric_stderr is None for network in networks):
        found.append(
            f"{metric.name} is one number for all examples, with no standard error: a metric that gives one for each "
            "example says how sure differences are."
        )
    found.append(
        "Standing: on the front of metric and size as measured, or the network that beats it; within noise where "
        f"their {metric.name} differs by less than 1.96 standard errors of the difference, so that these examples "
        "cannot tell them apart."
    )
    for entry in run.rounds:
        tau, low, high = entry.kendall_tau[entry.predictor]
        known = tau is not None and low is not None and high is not None
        assessed = f", cross-validated Kendall tau {tau:.2f} ({low:.2f} to {high:.2f})" if known else ""
        found.append(f"Round {entry.round}: {entry.proposed} networks proposed by {entry.predictor}{assessed}.")
        if entry.warning:
            found.append(f"{entry.warning[:1].upper()}{entry.warning[1:]}.")
    return found + [f"Warning: {sentence}." for sentence in run.warnings]


def export_notes(network: ValidatedNetwork) -> str | None:
    """The reason for which a network has no file, or the checks of its file that were not met; None for neither."""
    onnx = network.onnx or {}
    if onnx.get("failed"):
        return f"failed: {onnx['failed']}"
    return "; ".join(str(sentence) for sentence in onnx.get("failures") or ()) or None


def difference_words(network: ValidatedNetwork, run: RunSummary) -> str | None:
    """The lead over the INT8 teacher with its error; None without such a teacher."""
    lead = lead_of(network, run)
    return None if lead is None else run.metric.difference(lead.metric, lead.stderr)


def _caption(run: RunSummary) -> str:
    paired = any(network.minus_teacher_int8 is not None for network in run.networks)
    against = f"minus INT8: {'paired by example' if paired else 'errors of both added'}" if run.teacher_int8 else ""
    return "; ".join(
        part for part in (f"Test examples: {run.images.get('test', 0):,}", "±: one standard error", against) if part
    )


def _entries(run: RunSummary) -> list[tuple[str, Entry]]:
    """The INT8 teacher, then the networks."""
    teacher: list[tuple[str, Entry]] = [] if run.teacher_int8 is None else [("teacher INT8", run.teacher_int8)]
    return [*teacher, *((network.id, network) for network in run.networks)]


def _standings(run: RunSummary) -> dict[str, list[Any]]:
    """The columns that decide."""
    metric, int8, entries = run.metric, run.teacher_int8, _entries(run)
    columns: dict[str, list[Any]] = {"network": [name for name, _ in entries]}
    columns["size, bytes"] = [entry.size_bytes for _, entry in entries]
    columns["saving"] = [_less(entry, int8, "size_bytes") for _, entry in entries]
    columns["latency, ms"] = [None if e.latency_ms is None else significant(e.latency_ms) for _, e in entries]
    columns["faster"] = [_less(entry, int8, "latency_ms") for _, entry in entries]
    columns[metric.label(metric.name)] = [metric.with_error(entry.metric, _error(entry)) for _, entry in entries]
    head = "minus INT8"
    columns[f"{head}, points" if metric.is_share else metric.label(head)] = [
        difference_words(entry, run) if isinstance(entry, ValidatedNetwork) else None for _, entry in entries
    ]
    columns["standing"] = [entry.standing if isinstance(entry, ValidatedNetwork) else None for _, entry in entries]
    return columns


def _measurements(run: RunSummary) -> dict[str, list[Any]]:
    """The columns that explain."""
    metric, entries = run.metric, _entries(run)
    networks = [entry if isinstance(entry, ValidatedNetwork) else None for _, entry in entries]
    onnx: list[dict[str, Any]] = [{} if n is None or n.onnx is None else n.onnx for n in networks]
    columns: dict[str, list[Any]] = {"network": [name for name, _ in entries]}
    columns["predicted score"] = [
        None if n is None or n.predicted.get("score") is None else significant(n.predicted["score"]) for n in networks
    ]
    before, after = (metric.label(f"{metric.name} {when}") for when in ("before fine-tuning", "after"))
    columns[before] = [_scaled(run, entry.metric_before_finetune) for _, entry in entries]
    columns[after] = [_scaled(run, entry.metric) for _, entry in entries]
    columns[metric.label("standard error")] = [_scaled(run, _error(entry)) for _, entry in entries]
    columns[metric.label("search examples")] = [_scaled(run, entry.metric_search_split) for _, entry in entries]
    columns["tied with"] = [None if n is None else ", ".join(n.tied_with) or None for n in networks]
    columns[metric.label("in ONNX Runtime")] = [_scaled(run, entry.get("metric")) for entry in onnx]
    columns["ONNX file, bytes"] = [entry.get("file_bytes") for entry in onnx]
    columns["export"] = [None if n is None else export_notes(n) for n in networks]
    return columns


def _columns(columns: dict[str, list[Any]]) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Headings and rows of the columns that hold something."""
    known = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    return list(known), list(zip(*known.values(), strict=True))


def _less(entry: Entry, int8: Int8Teacher | None, name: str) -> str | None:
    """Percent less of `name` than the INT8 teacher takes; None for itself and where one of them is not known."""
    value, other = getattr(entry, name), None if int8 is None else getattr(int8, name)
    return None if entry is int8 or not other or value is None else percent(1 - value / other)


def _error(entry: Entry) -> float | None:
    return entry.metric_stderr if isinstance(entry, ValidatedNetwork) else None


def _scaled(run: RunSummary, value: float | None) -> float | None:
    return None if value is None else run.metric.factor * value
