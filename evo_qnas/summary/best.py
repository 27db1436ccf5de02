"""The best validated network of a run, and the sentences about it."""

import math

from evo_qnas.summary.network import Difference, ValidatedNetwork
from evo_qnas.summary.numbers import NORMAL, percent
from evo_qnas.summary.run import RunSummary


def best_network(run: RunSummary) -> ValidatedNetwork | None:
    """The smallest network within one standard error of the INT8 teacher, else of the best network; None without any.

    Chosen on the search examples, so that its metric on the test examples is not flattered by the choice. The standard
    error there is that of the test examples, scaled to the number of search examples. Where no network comes that near
    to the teacher, the one with the best metric on the search examples.

    Source: the one-standard-error rule of Breiman, Friedman, Olshen & Stone 1984, section 3.4.3.
    """
    if not run.networks:
        return None
    sign = 1.0 if run.metric.maximize else -1.0
    leader = max(run.networks, key=lambda network: sign * network.metric_search_split)
    int8 = run.teacher_int8
    known = None if int8 is None else int8.metric_search_split
    reference = leader.metric_search_split if known is None else known
    scale = math.sqrt(run.images.get("test", 1) / max(run.images.get("search", 1), 1))
    near = [
        network
        for network in run.networks
        if sign * (network.metric_search_split - reference) >= -scale * (network.metric_stderr or 0.0)
    ]
    return min(near, key=lambda network: network.size_bytes) if near else leader


def lead_of(network: ValidatedNetwork, run: RunSummary) -> Difference | None:
    """The network's metric less that of the INT8 teacher; None where there is no such teacher.

    Where the paired standard error was not worked out, that of two independent metrics, which is larger.
    """
    if network.minus_teacher_int8 is not None or run.teacher_int8 is None:
        return network.minus_teacher_int8
    error = None if network.metric_stderr is None else math.sqrt(2.0) * network.metric_stderr
    return Difference(metric=network.metric - run.teacher_int8.metric, stderr=error)


def is_within_noise(lead: Difference) -> bool:
    """True where the interval of a difference holds zero; False where its error is not known."""
    interval = lead.interval
    return interval is not None and interval[0] <= 0 <= interval[1]


def is_worse(lead: Difference, run: RunSummary) -> bool:
    """True for a loss: beyond noise, or any where the error is not known."""
    return run.metric.is_worse(lead.metric, 0.0) and not is_within_noise(lead)


def interval_text(network: ValidatedNetwork, run: RunSummary) -> str:
    """The network's metric with its 95 % interval, which of a share ends at 0 and 100 %."""
    metric, error = run.metric, network.metric_stderr
    text = metric.format(network.metric, error)
    if not error:
        return text
    low, high = network.metric - NORMAL * error, network.metric + NORMAL * error
    if metric.is_share:
        low, high = max(low, 0.0), min(high, 1.0)
    ends = (metric.number(end, error) for end in (low, high))
    return f"{text} (95 %: {' to '.join(ends)})"


def lead_text(lead: Difference, run: RunSummary) -> str:
    """A difference from the INT8 teacher in words."""
    metric = run.metric
    unit = "points" if metric.is_share else metric.unit
    text = f"{metric.difference(lead.metric, lead.stderr)} {unit}".rstrip()
    if lead.stderr is None:
        return f"{text} against the INT8 teacher, error not known"
    noise = ", within noise" if is_within_noise(lead) else ""
    # Networks that answer alike on every example have an error of 0, and no interval.
    bounds = (lead.interval or ()) if lead.stderr else ()
    ends = [f"{'+' if end > 0 else ''}{metric.number(end, lead.stderr)}" for end in bounds]
    interval = f" (95 %: {' to '.join(ends)})" if ends else ""
    return f"{text}{interval} against the INT8 teacher{noise}"


def headline_of(network: ValidatedNetwork, run: RunSummary) -> str:
    """The best network, its saving and metric in two sentences, and what is tied with it in a third."""
    int8 = run.teacher_int8
    saved = [] if int8 is None else [f"{less_text(network.size_bytes, int8.size_bytes)} than the INT8 teacher"]
    saved.append(f"{less_text(network.size_bytes, run.teacher_float.size_bytes)} than the float one")
    sentences = [f"Best network {network.id}: {' and '.join(saved)}."]
    lead = lead_of(network, run)
    against = "" if lead is None else f"; {lead_text(lead, run)}"
    sentences.append(f"Test {run.metric.name}: {interval_text(network, run)}{against}.")
    if network.tied_with:
        sentences.append(f"The test examples do not tell it from {' and '.join(tied_names(network))}.")
    return " ".join(sentences)


def tied_names(network: ValidatedNetwork) -> list[str]:
    """What is tied with a network, in words."""
    return ["the INT8 teacher" if name == "teacher_int8" else name for name in network.tied_with]


def less_text(value: int, other: int) -> str:
    """The saving in bytes in percent, or what it is more.

    Example:
        >>> less_text(60, 100), less_text(125, 100)
        ('40 % smaller', '25 % larger')
    """
    share = 1 - value / other
    return f"{percent(share)} smaller" if share >= 0 else f"{percent(-share)} larger"
