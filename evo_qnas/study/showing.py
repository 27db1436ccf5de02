"""Studies in words, and as HTML for notebooks."""

from html import escape

from evo_qnas.pipeline.context import RunContext
from evo_qnas.progress import Verbosity, level
from evo_qnas.summary import RunSummary
from evo_qnas.summary.health import judge
from evo_qnas.terminal import say


def title_of(context: RunContext) -> str:
    """A study in a line."""
    return f"study in {context.folder}: {len(context.card.blocks.names)} blocks, {context.task.metric_name}"


def text_of(context: RunContext, summary: RunSummary | None) -> str:
    """A study in a line; of a finished one the headline of its verdict, and where its page is."""
    if summary is None:
        return f"{title_of(context)}; not finished: .run()"
    verdict = summary.verdict or judge(summary)
    return f"{verdict.headline}\nIts page, to open in a browser: {context.folder / 'report.html'}"


def say_end(context: RunContext, summary: RunSummary | None) -> None:
    """Says how a run of live objects ended, unless nothing is to be said; the command says it of a card."""
    if summary is not None and context.live is not None and level() is not Verbosity.QUIET:
        say(*(f"evo-qnas: {line}" for line in text_of(context, summary).splitlines()), error=True)


def html_of(context: RunContext, summary: RunSummary | None) -> str:
    """The validated networks as a table, once there are any."""
    title = escape(title_of(context))
    if summary is None:
        return f"<p>{title}; nothing is validated yet: .run()</p>"
    rows = "".join(
        f"<tr><td>{network.id}</td><td>{network.size_bytes:,}</td>"
        f"<td>{escape(summary.metric.format(network.metric, network.metric_stderr))}</td></tr>"
        for network in summary.networks
    )
    head = f"<tr><th>network</th><th>bytes</th><th>{escape(summary.metric.name)}</th></tr>"
    return f"<p>{title}</p><table>{head}{rows}</table>"
