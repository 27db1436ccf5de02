"""Registries: names, lazy imports, entry points of other packages, and what is said of those that do not fit."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from evo_qnas import registry
from evo_qnas.errors import CardError, PluginError
from evo_qnas.registry import Registry

GROUP = "evo_qnas.test_animals"


class Animal:
    """What the entries of these tests are."""


class Cat(Animal):
    pass


TOM = Cat()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    registry._entries.cache_clear()
    yield
    registry._entries.cache_clear()


def animals(**ours: str) -> Registry[Animal]:
    return Registry("animal", GROUP, Animal, ours, error=CardError)


def installed(monkeypatch: pytest.MonkeyPatch, *entries: tuple[str, str]) -> None:
    found = [EntryPoint(name=name, value=value, group=GROUP) for name, value in entries]
    monkeypatch.setattr(registry, "entry_points", lambda group: found if group == GROUP else [])


def test_our_entries_are_imported_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    found = animals(tom=f"{__name__}:TOM", cat=f"{__name__}:Cat", none="no.such.module:Thing")
    assert found.names() == ("tom", "cat", "none")
    assert found.get("tom") is TOM
    assert type(found.get("cat")) is Cat
    assert found.get("cat") is found.get("cat")
    with pytest.raises(ModuleNotFoundError, match="No module named 'no'"):
        found.get("none")


def test_an_unknown_name_is_the_kind_of_error_of_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, ("zebra", "x:y"))
    with pytest.raises(CardError, match=r"there is no animal 'zebar'; the nearest are: zebra"):
        animals().require("zebar")


def test_entry_points_stand_behind_ours_and_are_imported_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, ("zebra", "no.such:Zebra"), ("lion", f"{__name__}:Cat"))
    found = animals(tom=f"{__name__}:TOM")
    assert list(found) == ["tom", "lion", "zebra"]
    assert "lion" in found
    assert type(found.get("lion")) is Cat
    with pytest.raises(
        PluginError, match=r"animal 'zebra' of a package cannot be imported from no.such:Zebra: ModuleN"
    ):
        found.get("zebra")


def test_an_entry_that_is_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, ("stone", f"{__name__}:GROUP"))
    with pytest.raises(PluginError, match=r"animal 'stone' .* is a str: it must be a Animal, or a subclass"):
        animals().get("stone")


def test_names_of_ours_and_names_given_twice_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, ("tom", f"{__name__}:Cat"))
    with pytest.raises(PluginError, match=r"a package registers the animal 'tom', a name of evo_qnas's own"):
        animals(tom=f"{__name__}:TOM").names()
    installed(monkeypatch, ("lion", "a:b"), ("lion", "c:d"))
    registry._entries.cache_clear()
    with pytest.raises(PluginError, match=r"both register the animal 'lion': remove one"):
        animals().names()


def test_an_installed_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "menagerie-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: menagerie\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nlynx = {__name__}:Cat\nbroken = menagerie_missing:X\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert animals().names() == ("broken", "lynx")
    assert type(animals().get("lynx")) is Cat
    with pytest.raises(PluginError, match="of the package menagerie cannot be imported"):
        animals().get("broken")


def test_packages_are_found_where_the_backport_of_the_metadata_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """importlib_metadata, which Dask imports, puts its own finder and so its own class of entry points in front."""
    backport = pytest.importorskip("importlib_metadata", reason="needs the package importlib_metadata")
    found = [backport.EntryPoint(name="lynx", value=f"{__name__}:Cat", group=GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: found)
    assert type(animals().get("lynx")) is Cat
