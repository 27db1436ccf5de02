"""One self-contained HTML page for a run folder, an archive or a comparison.

- `write_report`: writes the page.
- `page`, `markup`, `content`: how it is put together; `assets/` holds its style and scripts.
"""

from evo_qnas.report.write import write_report

__all__ = ["write_report"]
