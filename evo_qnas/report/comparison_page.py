"""The page of a comparison folder, from its `comparison.json`."""

from collections.abc import Mapping
from typing import Any

from evo_qnas.report.markup import pairs, section, table, text
from evo_qnas.report.page import asset, build_page

_TITLES = {
    "medians": "Medians over the seeds",
    "statistics": "Statistics per pair",
    "ranks": "Average ranks over the problems",
    "results": "Every run",
}
# Rows of a table in the page. Chosen, not measured.
_MOST_ROWS = 2000


def comparison_page(name: str, document: Mapping[str, Any]) -> str:
    """The page as HTML.

    Args:
        name: of the folder.
        document: content of a `ComparisonDocument`.
    """
    settings = document["settings"]
    problems, algorithms = settings["problems"], settings["algorithms"]
    lead = [
        f"Algorithms: {len(algorithms)}, problems: {len(problems)}, seeds: {len(settings['seeds'])}, "
        f"evaluations a run: {settings['evaluations']:,}.",
    ]
    conclusions = "".join(f"<p>{text(line)}</p>" for line in document["conclusions"])
    parts = [section("conclusions", "What can be concluded", conclusions), asset("comparison.html")]
    for key, title in _TITLES.items():
        rows = document["tables"].get(key) or []
        if rows:
            parts.append(section(key, title, _rows(rows) + (_ranks(document) if key == "ranks" else "")))
    listed = table(
        ["problem", "about", "evaluations"], [[p["name"], p.get("about"), p.get("budget")] for p in problems]
    )
    runs = table(["algorithm", "is"], [[a["name"], a.get("is")] for a in algorithms])
    references = pairs(document.get("references", {}))
    facts = pairs(
        {
            "command": settings.get("command") or None,
            "seeds": ", ".join(map(str, settings["seeds"])),
            "tested against": settings.get("against") or "every pair",
            "left out": ", ".join(f"{k}: {v}" for k, v in settings.get("skipped", {}).items()) or None,
        }
    )
    body = facts + listed + runs + "<h3>Reference fronts and scales</h3>" + references
    parts.append(section("provenance", "Where this comes from", body))
    data = {
        "name": name,
        "curves": document["curves"],
        "references": document.get("references", {}),
        "algorithms": [algorithm["name"] for algorithm in algorithms],
    }
    return build_page(f"Comparison {name}", lead, parts, data)


def _rows(rows: list[dict[str, Any]]) -> str:
    """A list of equal objects as a table."""
    headings = list(rows[0])
    note = f"The first {_MOST_ROWS:,} of {len(rows):,} rows; the CSV file has all." if len(rows) > _MOST_ROWS else ""
    return table(
        [heading.replace("_", " ") for heading in headings],
        [[row.get(heading) for heading in headings] for row in rows[:_MOST_ROWS]],
        caption=note,
    )


def _ranks(document: Mapping[str, Any]) -> str:
    """The critical difference of average ranks."""
    ranks = document.get("ranks", {})
    if ranks.get("critical_difference") is None:
        return ""
    return (
        f"<p>Problems: {text(ranks.get('problems'))}. Ranks that differ by more than "
        f"{text(format(ranks['critical_difference'], '.2f'))} differ at 5 % (Nemenyi).</p>"
    )
