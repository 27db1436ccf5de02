"""Axe finds no serious or critical fault in the report and in pages of the site, light and dark, wide and narrow."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evo_qnas.report import write_report
from tests.report.test_page import show, wait

ROOT = Path(__file__).resolve().parent.parent.parent
HOW = "needs axe: pip install -e '.[accessibility]'"
HOW_SITE = "needs the site: make docs, or pip install -e '.[docs]'"
# A page of prose, a notebook with its outputs, and a page of tables.
PAGES = ("index.html", "tutorials/deploy.html", "reference/card_keys.html")
RUN = """
const done = arguments[0];
for (const fold of document.querySelectorAll("details")) fold.open = true;
axe.run().then(({ violations }) => done(violations.filter((v) => ["serious", "critical"].includes(v.impact))
  .flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}: ${n.failureSummary}`))),
  (e) => done([String(e)]));
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe; its package is not imported, as that would load Playwright."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip(HOW)
    return (Path(next(iter(found.submodule_search_locations))) / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built where mkdocs is installed, else the one that `make docs` left."""
    if importlib.util.find_spec("mkdocs") is None:
        if not (ROOT / "site" / PAGES[0]).is_file():
            pytest.skip(HOW_SITE)
        return ROOT / "site"
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "-q", "-d", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def run_page(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run."""
    return write_report(run_folder, tmp_path_factory.mktemp("page") / "run.html")


def faults(browser: Any, axe: str) -> list[str]:
    """Serious and critical faults of the page that is open, folds opened."""
    # By the developer tools, for the page's content policy allows no other script.
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    browser.set_script_timeout(120)
    return list(browser.execute_async_script(RUN))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_report(browser: Any, axe: str, run_page: Path, width: int, dark: bool) -> None:
    show(browser, run_page, width=width, dark=dark)
    assert faults(browser, axe) == []


@pytest.mark.parametrize("page", PAGES)
def test_site(browser: Any, axe: str, site: Path, page: str) -> None:
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            browser.get((site / page).as_uri())
            browser.execute_script("localStorage.clear()")  # keeps the scheme of the page before
            browser.refresh()
            wait(browser, "document.readyState === 'complete'")
            assert faults(browser, axe) == [], f"{page}, {width} pixels, {scheme}"
