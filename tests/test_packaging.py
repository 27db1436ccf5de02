"""What packages are made of: one version, one list of dependencies, links that lead somewhere from anywhere."""

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("CITATION.cff", r"^version: (.*)$"),
        ("CHANGELOG.md", r"^## (\S+) \(\d{4}-\d\d-\d\d\)$"),
        ("recipe/recipe.yaml", r"^  version: \"(.*)\"$"),
    ],
)
def test_the_version_is_one(file: str, pattern: str) -> None:
    found = re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    assert found[1] == PROJECT["version"]


def test_the_recipe_needs_what_the_package_needs() -> None:
    text = (ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    needed = re.findall(r"^    - (.*)$", text.partition("  run:\n")[2].partition("\ntests:")[0], re.MULTILINE)
    assert needed == ["python >=3.11", *PROJECT["dependencies"]]


def test_links_of_the_package_page_are_absolute_where_the_home_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("hatchling", "hatchling.metadata", "hatchling.metadata.plugin"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    interface = ModuleType("hatchling.metadata.plugin.interface")
    vars(interface)["MetadataHookInterface"] = object
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    code: dict[str, Any] = {}
    exec(compile((ROOT / "hatch_build.py").read_text(encoding="utf-8"), "hatch_build.py", "exec"), code)
    page = code["absolute"]((ROOT / "README.md").read_text(encoding="utf-8"), "https://example.org/home")
    targets = re.findall(r"\]\(([^)]*)\)", page)
    assert len(targets) > 10
    assert all(target.startswith("https://example.org/home/") for target in targets)
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", page)
    assert pictures == ["https://example.org/home/raw/main/results/reference/camvid/front.png"]
