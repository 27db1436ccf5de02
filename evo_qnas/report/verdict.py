"""The first section of a run's page: its best network, its saving, its metric, its file, and the health checks."""

from pathlib import Path

from evo_qnas.report.markup import pairs, section, text
from evo_qnas.summary import RunSummary, State, ValidatedNetwork, Verdict, percent, significant
from evo_qnas.summary.best import interval_text, lead_of, lead_text, less_text, tied_names
from evo_qnas.summary.health import judge
from evo_qnas.summary.origin import export_way

_WORDS = {State.GOOD: "Good", State.NOTE: "To know", State.BAD: "Bad"}
# What a run keeps of a network, as far as it is there.
_FILES = ("model.onnx", "weights.safetensors", "graph.json", "outcomes.safetensors")


def verdict_section(run: RunSummary, folder: Path | None) -> str:
    """The verdict as HTML.

    Args:
        run: the summary of the run; one without a verdict is judged here.
        folder: of the run, None where it is not known.
    """
    verdict = run.verdict or judge(run)
    best = next((network for network in run.networks if network.id == verdict.network), None)
    parts = [f'<p class="headline">{text(verdict.headline.partition(". ")[0].rstrip("."))}.</p>']
    if best is not None:
        parts += [_facts(best, run), _findings(verdict), _files(best, run, folder)]
    else:
        parts.append(_findings(verdict))
    return section("verdict", "Verdict", "".join(parts))


def export_command(run: RunSummary, folder: Path | None, network: str) -> str:
    """What writes a network's file; of a run whose folder is not known, the default one is taken."""
    place = Path("results") / run.card if folder is None else folder
    return export_way(place, network, shown=_shown(place))


def _shown(folder: Path) -> str:
    """A folder, relative to the working folder where it lies in it."""
    whole = folder.resolve()
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(folder)


def _facts(best: ValidatedNetwork, run: RunSummary) -> str:
    """Numbers of the best network against both teachers."""
    int8, whole = run.teacher_int8, run.teacher_float
    size = [] if int8 is None else [f"{less_text(best.size_bytes, int8.size_bytes)} than INT8"]
    size.append(f"{less_text(best.size_bytes, whole.size_bytes)} than float")
    lead = lead_of(best, run)
    facts: dict[str, str | None] = {
        "Size": f"{best.size_bytes:,} bytes: {', '.join(size)}",
        f"Test {run.metric.name}": interval_text(best, run),
        "Difference": None if lead is None else lead_text(lead, run),
        "Latency": _latency(best, run),
        "Tied with": ", ".join(tied_names(best)) or None,
    }
    return f'<div class="facts">{pairs(facts)}</div>'


def _latency(best: ValidatedNetwork, run: RunSummary) -> str | None:
    """The latency, and how much faster than the teachers that is."""
    if best.latency_ms is None:
        return None
    teachers = (("INT8", run.teacher_int8 and run.teacher_int8.latency_ms), ("float", run.teacher_float.latency_ms))
    compared = []
    for name, other in teachers:
        if other:
            share = 1 - best.latency_ms / other
            compared.append(f"{percent(abs(share))} {'faster' if share >= 0 else 'slower'} than {name}")
    return f"{significant(best.latency_ms)} ms{': ' + ', '.join(compared) if compared else ''}"


def _findings(verdict: Verdict) -> str:
    """A line for each health check."""
    lines = "".join(
        f'<li class="{finding.state.value}"><strong>{_WORDS[finding.state]}</strong> {text(finding.text)}</li>'
        for finding in verdict.findings
    )
    return f'<h3>Health checks</h3><ul class="findings">{lines}</ul>' if lines else ""


def _files(best: ValidatedNetwork, run: RunSummary, folder: Path | None) -> str:
    """Where the network lies, and the command that writes it for a runtime."""
    place = Path("networks") / best.id
    there = [name for name in _FILES if folder is not None and (folder / place / name).is_file()]
    files = f"<p>In the run's folder: {', '.join(f'<code>{text(place / name)}</code>' for name in there)}.</p>"
    command = text(export_command(run, folder, best.id))
    return (
        f"<h3>Its files</h3>{files if there else ''}"
        f'<p>Written for a runtime, and checked there, by</p><pre tabindex="0">{command}</pre>'
    )
