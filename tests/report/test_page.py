"""The page in a real browser: it draws, and what it shows is what the archive holds."""

import json
import time
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evo_qnas.archive import Archive, Front
from evo_qnas.report import write_report

# Where a network of the front lies on the screen.
PLACE = """
const chart = document.getElementById("chart"), box = chart.getBoundingClientRect(), full = chart._fullLayout;
const trace = chart.data.find((t) => t.name.startsWith("front ("));
const at = trace.customdata.indexOf(arguments[0]);
const to = (axis, value) => axis.d2p(value) + axis._offset;
return [box.left + to(full.xaxis, trace.x[at]), box.top + to(full.yaxis, trace.y[at])];
"""


# Networks that the chart shows and that have no other one within 10 pixels.
ALONE = """
const chart = document.getElementById("chart"), { xaxis, yaxis } = chart._fullLayout;
const trace = chart.data.find((t) => t.name.startsWith("front ("));
const places = trace.x.map((x, at) => [xaxis.d2p(x), yaxis.d2p(trace.y[at]), trace.customdata[at]]);
const shown = ([x, y]) => x > 5 && x < xaxis._length - 5 && y > 5 && y < yaxis._length - 5;
const near = (a, b) => a !== b && Math.hypot(a[0] - b[0], a[1] - b[1]) < 10;
return places.filter((a) => shown(a) && !places.some((b) => near(a, b))).map((a) => a[2]);
"""
CODES = {"Escape": 27, "PageDown": 34, "ArrowLeft": 37, "ArrowRight": 39}
FRONT = "document.getElementById('chart').data.find((t) => t.name.startsWith('front (')).customdata"


def wait(browser: Any, condition: str, *arguments: Any) -> Any:
    """What a JavaScript expression gives as soon as it is true."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = browser.execute_script(f"return {condition}", *arguments)
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"never true: {condition}; {browser.get_log('browser')}")


def show(browser: Any, page: Path, *, width: int = 1300, dark: bool = False) -> None:
    """Opens a page from disk and waits until it is drawn."""
    scheme = "dark" if dark else "light"
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("browser")
    browser.get(page.as_uri())
    wait(browser, "document.documentElement.dataset.ready")


def mouse(browser: Any, kind: str, x: float, y: float, **more: Any) -> None:
    """A mouse event at a place of the page."""
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more})


def hover(browser: Any, row: int) -> str:
    """Points at a network of the front until its label is there; gives the label."""
    x, y = browser.execute_script(PLACE, row)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        # A hand never holds the mouse still.
        for shift in (1, 0):
            mouse(browser, "mouseMoved", x + shift, y)
        label = "".join(texts(browser, "#chart .hoverlayer text"))
        if label.startswith(f"Network {row}") and not label[len(f"Network {row}")].isdigit():
            return label
    raise AssertionError(f"no label of network {row}: {label!r}")


def press(browser: Any, row: int) -> None:
    """A click on a network of the front."""
    hover(browser, row)
    # The chart takes up a moved mouse every 0.05 s, and two presses within 0.3 s are a double-click, which zooms out.
    time.sleep(0.4)
    x, y = browser.execute_script(PLACE, row)
    for kind in ("mousePressed", "mouseReleased"):
        mouse(browser, kind, x, y, button="left", clickCount=1)


def key(browser: Any, name: str, times: int = 1) -> None:
    """A key, pressed several times."""
    event = {"key": name, "code": name, "windowsVirtualKeyCode": CODES[name]}
    for _ in range(times):
        for kind in ("keyDown", "keyUp"):
            browser.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, **event})


def texts(browser: Any, selector: str) -> list[str]:
    """The texts of all elements that a selector finds."""
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
    )


def severe(browser: Any) -> list[str]:
    """What the console complains about."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}]


@pytest.fixture(scope="module")
def page(archive_file: Path) -> Path:
    return write_report(archive_file, archive_file.with_suffix(".html"))


@pytest.fixture(scope="module")
def archive(archive_file: Path) -> Archive:
    return Archive.load(archive_file)


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    show(browser, page)
    return browser


def words(archive: Archive, row: int) -> list[list[str]]:
    """The card's table of a network of the front."""
    assert archive.tables is not None
    found = []
    for block, choice in zip(archive.tables.blocks, archive.front.genomes[row], strict=True):
        operator, weight, activation = block.labels[choice]
        found.append([block.name, operator, f"{weight} bit", f"{activation} bit"])
    return found


def card(browser: Any) -> tuple[str, list[list[str]]]:
    """Heading and block table of the card."""
    cells = texts(browser, "#network tbody td")
    return texts(browser, "#network h3")[0], [cells[i : i + 4] for i in range(0, len(cells), 4)]


@pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("width", [360, 1300])
def test_loads_without_errors_network_or_sideways_scrolling(browser: Any, page: Path, width: int, dark: bool) -> None:
    show(browser, page, width=width, dark=dark)
    assert severe(browser) == []
    assert browser.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    light = browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light is not dark
    drawn = browser.execute_script("return document.getElementById('chart')._fullLayout.paper_bgcolor")
    assert drawn == ("#14161a" if dark else "#ffffff")


def test_is_small_and_names_no_address(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text) < 6 * 2**20
    head = text[: text.index("<script")]
    assert "http" not in head.replace("http-equiv", "")
    assert "src=" not in head


def test_hover_shows_the_network(opened: Any, archive: Archive) -> None:
    alone = opened.execute_script(ALONE)
    for row in (alone[0], alone[-1]):
        label = hover(opened, row)
        assert card(opened) == (f"Network {row}", words(archive, row))
        assert all(f"{name}: {operator} w" in label for name, operator, _, _ in words(archive, row))


def test_click_pins_until_escape(opened: Any, archive: Archive) -> None:
    row, other = [row for row in opened.execute_script(ALONE) if row][:2]
    assert row > 0
    press(opened, row)
    wait(opened, "document.querySelector('#unpin')")
    assert card(opened) == (f"Network {row} (pinned)", words(archive, row))
    hover(opened, other)
    assert card(opened)[0] == f"Network {row} (pinned)"
    opened.execute_script("document.getElementById('chart').focus()")
    key(opened, "ArrowRight")
    # To the right sizes rise, and rows fall: they are sorted by score.
    assert card(opened) == (f"Network {row - 1} (pinned)", words(archive, row - 1))
    assert texts(opened, "tr.pinned button") == [str(row - 1)]
    key(opened, "Escape")
    assert "pinned" not in card(opened)[0]


def limit_size(browser: Any, archive: Archive) -> np.ndarray:
    """Moves the size slider by keys; gives the rows that meet the limit."""
    browser.execute_script("document.querySelector('input[data-column=\"1\"]').focus()")
    key(browser, "PageDown", 3)
    key(browser, "ArrowLeft")
    place = int(browser.execute_script("return document.activeElement.value"))
    sizes = archive.front.objectives[:, 1]
    assert 0 < place < 490
    # Equal steps are equal differences in size.
    rows = np.flatnonzero(sizes <= sizes.min() + np.ptp(sizes) * place / 500)
    assert 0 < len(rows) < len(sizes)
    wait(browser, f"{FRONT}.length === arguments[0]", len(rows))
    return rows


def test_a_slider_filters_chart_table_and_map(opened: Any, archive: Archive) -> None:
    rows = limit_size(opened, archive)
    assert texts(opened, "#count") == [f"{len(rows)} of {len(archive.front)} networks meet the limits"]
    assert opened.execute_script(f"return {FRONT}") == rows.tolist()
    assert [int(text) for text in texts(opened, "#table tbody button")] == rows[:50].tolist()
    shown = opened.execute_script("return document.getElementById('map').data[0].z[0].length")
    assert shown == len(rows)
    opened.execute_script("document.getElementById('reset-limits').click()")
    assert texts(opened, "#count")[0].startswith(f"{len(archive.front)} of ")


def enter(browser: Any, field: str, value: float | str) -> None:
    browser.execute_script(
        "const f = document.getElementById(arguments[0]); f.value = arguments[1];"
        "f.dispatchEvent(new Event(f.tagName === 'SELECT' ? 'change' : 'input'))",
        field,
        str(value),
    )


def position(archive: Archive, one: Front) -> int:
    return archive.front.rows.tolist().index(one.rows[0])


def preferred(browser: Any) -> int:
    """The position on the front of the network that the page prefers, which is pinned too."""
    (text,) = texts(browser, "#preferred")
    assert "pinned" in card(browser)[0]
    assert text == f"{card(browser)[0].split(' · ')[0].split(' (')[0]} is preferred"
    return int(text.split()[1])


def test_a_reference_point_prefers_what_python_prefers(opened: Any, archive: Archive) -> None:
    front = archive.front
    divisors = opened.execute_script("return columns.map((c) => c.divisor)")
    names = [info.name for info in archive.header.objectives]
    low, high = front.objectives.min(axis=0), front.objectives.max(axis=0)
    rng, seen = np.random.default_rng(0), set()
    for at in range(12):
        point = low + rng.uniform(-0.2, 1.0, len(names)) * (high - low)
        asked = {name: float(value) for name, value in zip(names, point, strict=True)}
        if at >= 8:  # only one objective has a wish
            asked = {names[at % 2]: float(point[at % 2])}
        for c, name in enumerate(names):
            enter(opened, f"wish-{c}", repr(asked[name] / divisors[c]) if name in asked else "")
        assert preferred(opened) == position(archive, front.choose(asked))
        seen.add(preferred(opened))
    assert len(seen) > 4
    rows = limit_size(opened, archive)
    enter(opened, "wish-0", repr(float(low[0]) / divisors[0]))
    enter(opened, "wish-1", "")
    inside = front.chosen(rows).choose({names[0]: float(low[0])})
    assert preferred(opened) == position(archive, inside)
    opened.execute_script("document.getElementById('reset-preference').click()")
    assert texts(opened, "#preferred") == [""]
    assert "pinned" not in card(opened)[0]


def test_a_price_prefers_what_python_prefers(opened: Any, archive: Archive) -> None:
    front = archive.front
    divisors = opened.execute_script("return columns.map((c) => c.divisor)")
    names = [info.name for info in archive.header.objectives]
    span = np.ptp(front.objectives, axis=0)
    seen = set()
    for factor in (0.1, 0.5, 1.0, 3.0, 20.0):
        price = float(factor * span[1] / span[0])
        enter(opened, "most", repr(price * divisors[0] / divisors[1]))
        chosen = front.choose(trade_offs=f"{names[1]} per {names[0]} <= {price!r}")
        assert preferred(opened) == position(archive, chosen)
        seen.add(preferred(opened))
    assert len(seen) > 2
    enter(opened, "most", "-1")
    assert texts(opened, "#preferred") == [""]


def test_map_shows_the_bits(opened: Any, archive: Archive) -> None:
    opened.execute_script(
        "const s = document.getElementById('map-kind'); s.value = 'weight bits'; s.dispatchEvent(new Event('change'))"
    )
    z = np.array(opened.execute_script("return document.getElementById('map').data[0].z"))
    order = np.argsort(archive.front.objectives[:, 1], kind="stable")
    assert archive.tables is not None
    bits = [block.weight_bits[archive.front.genomes[order, b]] for b, block in enumerate(archive.tables.blocks)]
    np.testing.assert_array_equal(np.array([2, 3, 4, 6, 8])[z], bits)


def test_sorting_and_download(opened: Any, archive: Archive, tmp_path: Path) -> None:
    opened.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    rows = limit_size(opened, archive)
    for _ in range(2):
        opened.execute_script("document.querySelector('[data-sort=\"2\"]').click()")
    mark = opened.execute_script("return document.querySelectorAll('#table th')[3].getAttribute('aria-sort')")
    assert mark == "descending"
    opened.execute_script("document.getElementById('download').click()")
    target, end = tmp_path / "first-front.csv", time.monotonic() + 20
    while not target.exists() and time.monotonic() < end:
        time.sleep(0.02)
    found = pd.read_csv(StringIO(target.read_text(encoding="utf-8")))
    assert sorted(found["network"]) == rows.tolist()
    tables = archive.tables
    assert tables is not None
    genomes = archive.front.genomes[found["network"]]
    np.testing.assert_array_equal(found["score"], archive.front.objectives[found["network"], 0])
    np.testing.assert_array_equal(found["evaluation"], archive.front.rows[found["network"]])
    for name in ("macs", "latency_ms"):
        np.testing.assert_array_equal(found[name], tables.total(name, genomes))
    assert found["id"].tolist() == [archive.front.ids[row] for row in found["network"]]
    third = found.columns[5]
    assert (np.diff(found[third]) <= 0).all()
    expected = archive.front.to_dataframe()["block2"].to_numpy()[found["network"]]
    assert found["block2"].tolist() == expected.tolist()


def test_a_brush_zooms_and_the_button_zooms_out(opened: Any) -> None:
    span = "document.getElementById('chart')._fullLayout.xaxis.range"
    before = opened.execute_script(f"return {span}")
    x, y, right, low = opened.execute_script(
        "const b = document.querySelector('#chart .nsewdrag').getBoundingClientRect();"
        "return [b.left + 0.3 * b.width, b.top + 0.4 * b.height, b.left + 0.7 * b.width, b.top + 0.8 * b.height]"
    )
    mouse(opened, "mouseMoved", x, y)
    mouse(opened, "mousePressed", x, y, button="left", clickCount=1)
    for share in (0.5, 1.0):
        mouse(opened, "mouseMoved", x + share * (right - x), y + share * (low - y), button="left", buttons=1)
    mouse(opened, "mouseReleased", right, low, button="left", clickCount=1)
    wait(opened, f"Math.abs({span}[0] - arguments[0]) > 0.01", before[0])
    zoomed = opened.execute_script(f"return {span}")
    assert zoomed[1] - zoomed[0] == pytest.approx(0.4 * (before[1] - before[0]), rel=0.02)
    press(opened, opened.execute_script(ALONE)[0])
    wait(opened, "document.querySelector('#unpin')")
    assert opened.execute_script(f"return {span}") == zoomed
    opened.execute_script("document.getElementById('reset-zoom').click()")
    wait(opened, f"Math.abs({span}[0] - arguments[0]) < 1e-9", before[0])


def test_a_run_shows_its_validated_networks(browser: Any, run_folder: Path, tmp_path: Path) -> None:
    show(browser, write_report(run_folder, tmp_path / "run.html"))
    assert severe(browser) == []
    summary = json.loads((run_folder / "summary.json").read_text(encoding="utf-8"))
    shown = list(texts(browser, "#validation > div tbody tr td:first-child"))
    assert shown == ["teacher INT8", *(network["id"] for network in summary["networks"])]
    after = browser.execute_script(
        "return document.getElementById('validation-chart').data.find((t) => t.name === 'after fine-tuning').y"
    )
    np.testing.assert_allclose(after, [100 * network["metric"] for network in summary["networks"]])
    ring = browser.execute_script("return document.getElementById('chart').data.find((t) => t.name === 'validated').y")
    np.testing.assert_allclose(ring, [network["predicted"]["score"] for network in summary["networks"]])
    assert any("Kendall's tau 0.71" in text for text in texts(browser, "#verdict .findings li"))
    assert 'task = "classification"' in texts(browser, "#provenance pre")[0]


def test_a_run_answers_first_and_selects_the_best_network(browser: Any, run_folder: Path, tmp_path: Path) -> None:
    """made-up: net0 is the best on the test images, all are equal on the search images, so the smallest is chosen."""
    show(browser, write_report(run_folder, tmp_path / "run.html"), width=1280)
    sections = browser.execute_script("return [...document.querySelectorAll('main > section')].map((s) => s.id)")
    assert sections[:4] == ["verdict", "validation", "search", "front"]
    links = browser.execute_script("return [...document.querySelectorAll('nav a')].map((a) => a.getAttribute('href'))")
    assert [link[1:] for link in links] == sections
    summary = json.loads((run_folder / "summary.json").read_text(encoding="utf-8"))
    best = min(summary["networks"], key=lambda network: network["size_bytes"])
    assert texts(browser, "#network h3")[0].endswith(f"{best['id']} (the best validated one)")
    facts = dict(zip(texts(browser, "#network dl:first-of-type dt"), texts(browser, "#network dl dd"), strict=False))
    assert facts["test accuracy"] == f"{100 * best['metric']:.2f} %"
    assert f"--network {best['id']} -o {best['id']}.onnx" in texts(browser, "#network pre")[0]
    wide = browser.execute_script(
        "const box = document.querySelector('#validation .wide'); return [box.scrollWidth, box.clientWidth]"
    )
    assert wide[0] <= wide[1], "no column is cut at 1280 pixels"
    lines = browser.execute_script("return csvText()").splitlines()
    head = lines[0].split(",")
    found = {row.split(",")[head.index("accuracy")] for row in lines[1:]} - {""}
    assert found == {str(network["metric"]) for network in summary["networks"]}


def test_no_change_reads_as_minus_zero(browser: Any, page: Path) -> None:
    show(browser, page)
    shown = browser.execute_script("return [-0.0001, 0, -0.004, 0.012, -0.5].map(percent)")
    assert shown == ["same", "same", "\u22120.4 %", "+1 %", "\u221250 %"]
