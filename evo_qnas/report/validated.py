"""The section of a run's validated networks."""

from collections.abc import Mapping
from typing import Any

from evo_qnas.report.markup import section, table
from evo_qnas.report.page import asset
from evo_qnas.summary import Metric


def validated_section(summary: Mapping[str, Any]) -> str:
    """A table of the networks that were trained and measured, and their chart; unmeasured columns are left out.

    Args:
        summary: content of `summary.json`, with at least one network.
    """
    metric = Metric.of(summary["metric"])
    int8 = summary.get("teacher_int8")
    entries = [("teacher INT8", int8)] if int8 is not None else []
    entries += [(str(entry.get("id")), entry) for entry in summary["networks"]]
    columns: dict[str, list[Any]] = {"network": [name for name, _ in entries]}
    columns["size, bytes"] = [entry.get("size_bytes") for _, entry in entries]
    columns["saving, %"] = [_less(entry, int8, "size_bytes") for _, entry in entries]
    columns["latency, ms"] = [entry.get("latency_ms") for _, entry in entries]
    columns["faster, %"] = [_less(entry, int8, "latency_ms") for _, entry in entries]
    columns["predicted score"] = [_part(entry, "predicted").get("score") for _, entry in entries]
    before, after = (metric.label(f"{metric.name} {when}") for when in ("before", "after"))
    columns[before] = [_scaled(metric, entry.get("metric_before_finetune")) for _, entry in entries]
    columns[after] = [_scaled(metric, entry.get("metric")) for _, entry in entries]
    apart = "minus teacher INT8"
    columns[f"{apart}, points" if metric.is_share else metric.label(apart)] = [
        _difference(metric, entry) for _, entry in entries
    ]
    columns["standing"] = [None if entry is int8 else standing(entry) for _, entry in entries]
    columns["tied with"] = [", ".join(entry.get("tied_with") or ()) or None for _, entry in entries]
    columns[metric.label("standard error")] = [_scaled(metric, entry.get("metric_stderr")) for _, entry in entries]
    exported = [_scaled(metric, _part(entry, "onnx").get("metric")) for _, entry in entries]
    columns[metric.label(f"{metric.name} in ONNX Runtime")] = exported
    columns["ONNX file, bytes"] = [_part(entry, "onnx").get("file_bytes") for _, entry in entries]
    columns["export"] = [_export(entry) for _, entry in entries]
    known = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    rows = list(zip(*known.values(), strict=True))
    body = table(list(known), rows, caption=" ".join(_notes(summary, metric))) + asset("validation.html")
    return section("validation", "Predicted and validated", body)


def standing(entry: Mapping[str, Any]) -> str | None:
    """`front` for a validated network on the front of metric and size, else its better; None where not judged.

    Example:
        >>> standing({"dominated_by": "5e884898"})
        'beaten by 5e884898'
    """
    if "dominated_by" not in entry:
        return None
    beaten = f"beaten by {entry['dominated_by']}"
    place = beaten if entry["dominated_by"] is not None else "front"
    return f"{place}, round {entry['round']}" if entry.get("round") else place


def _notes(summary: Mapping[str, Any], metric: Metric) -> list[str]:
    """The meaning of the table's numbers."""
    notes = [
        "Before and after fine-tuning, the same budget for every row; test images. "
        "Saving (of bytes) and faster: against teacher INT8."
    ]
    whole = _part(summary, "teacher_float")
    if whole.get("metric") is not None:
        value = f"{_scaled(metric, whole['metric']):{metric.spec}} {metric.unit}".rstrip()
        notes.append(f"The teacher in float has {value}.")
    if all("metric_stderr" in entry and entry["metric_stderr"] is None for entry in summary["networks"]):
        notes.append(
            f"{metric.name} is one number for all examples, with no standard error: a metric that gives one for each "
            "example says how sure differences are."
        )
    if any("tied_with" in entry for entry in summary["networks"]):
        notes.append(
            "Standing: on the front of metric and size as measured, or the network that beats it. "
            f"Tied: networks of that front whose {metric.name} differs by less than 1.96 standard errors of the "
            "difference, so that these images cannot tell them apart."
        )
    if any(_part(entry, "minus_teacher_int8").get("stderr") is not None for entry in summary["networks"]):
        notes.append("Minus teacher INT8: ± one standard error of the difference on these same images.")
    for entry in summary.get("rounds") or ():
        tau = entry["kendall_tau"][entry["predictor"]]
        assessed = (
            "" if tau[0] is None else f", cross-validated Kendall tau {tau[0]:.2f} ({tau[1]:.2f} to {tau[2]:.2f})"
        )
        notes.append(
            f"Round {entry['round']}: {entry['proposed']} networks proposed by {entry['predictor']}{assessed}."
        )
        if entry["warning"]:
            notes.append(f"{entry['warning'][:1].upper()}{entry['warning'][1:]}.")
    notes += [f"Warning: {text}." for text in summary.get("warnings") or ()]
    tau = _part(summary, "rank_correlation")
    if tau.get("kendall_tau") is not None:
        notes.append(
            f"Kendall tau of score and {metric.name} before fine-tuning: {tau['kendall_tau']:.2f} "
            f"(95 %: {tau['low']:.2f} to {tau['high']:.2f}) over {tau['networks']} random networks."
        )
    return notes


def _export(entry: Mapping[str, Any]) -> str | None:
    """The reason for which a network has no file, or the checks of its file that were not met; None for neither.

    Example:
        >>> _export({"onnx": {"failed": "aten.cumsum.default has no translation"}})
        'failed: aten.cumsum.default has no translation'
    """
    onnx = _part(entry, "onnx")
    if onnx.get("failed"):
        return f"failed: {onnx['failed']}"
    return "; ".join(str(sentence) for sentence in onnx.get("failures") or ()) or None


def _less(entry: Mapping[str, Any], int8: Mapping[str, Any] | None, name: str) -> float | None:
    """Percent less of `name` than the INT8 teacher takes; None for itself and where one of them is not known."""
    if int8 is None or entry is int8 or not int8.get(name) or entry.get(name) is None:
        return None
    return round(100 * (1 - float(entry[name]) / float(int8[name])), 1)


def _difference(metric: Metric, entry: Mapping[str, Any]) -> str | None:
    """The metric less that of the INT8 teacher, with the paired standard error where it is known.

    Example:
        >>> share = Metric(name="accuracy", maximize=True, unit="%")
        >>> _difference(share, {"minus_teacher_int8": {"metric": -0.0009, "stderr": 0.0012}})
        '-0.09 ± 0.12'
    """
    apart = _part(entry, "minus_teacher_int8")
    if not apart:
        return None
    text = f"{metric.factor * apart['metric']:+{metric.spec}}"
    return text if apart["stderr"] is None else f"{text} ± {metric.factor * apart['stderr']:{metric.spec}}"


def _scaled(metric: Metric, value: float | None) -> float | None:
    return None if value is None else metric.factor * value


def _part(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of an entry, empty where the run did not write it."""
    return entry.get(name) or {}
