"""Studies in a line and as HTML, for notebooks."""

from html import escape

from evo_qnas.pipeline.context import RunContext
from evo_qnas.summary import RunSummary


def title_of(context: RunContext) -> str:
    """A study in a line."""
    return f"study in {context.folder}: {len(context.card.blocks.names)} blocks, {context.task.metric_name}"


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
