"""What a run says of a network, in sentences."""

from evo_qnas.summary import Difference, Metric, RunSummary, ValidatedNetwork, percent


def sentences(network: ValidatedNetwork, summary: RunSummary) -> list[str]:
    """The network itself, what it is measured against, and its lead over the teacher in INT8.

    Args:
        network: of the run.
        summary: of the run.
    """
    metric, int8 = summary.metric, summary.teacher_int8
    measured = metric.format(network.metric, network.metric_stderr)
    found = [f"network {network.id}: {metric.name} {measured}, {_size(network, summary)}"]
    if int8 is None or network.minus_teacher_int8 is None:
        return found
    whole, tuned = metric.format(summary.teacher_float.metric), metric.format(int8.metric)
    models = f"the model: {whole} in float; in INT8, after the same fine-tuning, {tuned} and {int8.size_bytes:,} bytes"
    return [*found, models, _lead(metric, network.minus_teacher_int8)]


def _size(network: ValidatedNetwork, summary: RunSummary) -> str:
    """Bytes and milliseconds, and how much less that is than the teacher's in INT8."""
    int8 = summary.teacher_int8
    size, wait = f"{network.size_bytes:,} bytes", network.latency_ms
    parts = [size if int8 is None else size + _less(network.size_bytes / int8.size_bytes)]
    if wait is not None:
        known = None if int8 is None else int8.latency_ms
        parts.append(f"{wait:.3g} ms" + ("" if known is None else _less(wait / known)))
    return ", ".join(parts)


def _less(share: float) -> str:
    """The change from INT8 in percent, of the share of it that is left.

    Example:
        >>> _less(0.6), _less(1.25), _less(1.0)
        (' (40 % less than INT8)', ' (25 % more than INT8)', '')
    """
    return "" if share == 1.0 else f" ({percent(abs(share - 1.0))} {'less' if share < 1.0 else 'more'} than INT8)"


def _lead(metric: Metric, apart: Difference) -> str:
    """The difference from INT8 with its interval.

    Example:
        >>> share = Metric(name="accuracy", maximize=True, unit="%")
        >>> _lead(share, Difference(metric=0.01, stderr=0.005))
        "accuracy less INT8's: +1.0 ± 0.5, 95 % interval 0.0 .. +2.0 (paired)"
    """
    text = f"{metric.name} less INT8's: {metric.difference(apart.metric, apart.stderr)}"
    if apart.interval is None:
        return f"{text}, of which no standard error is known"
    low, high = (metric.difference(end, apart.stderr).partition(" ")[0] for end in apart.interval)
    return f"{text}, 95 % interval {low} .. {high} (paired)"
