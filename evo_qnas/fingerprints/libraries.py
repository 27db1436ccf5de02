"""Modules of installed libraries, told apart from a user's own."""

import importlib.util
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import PurePath

_MAIN = {"__main__", "__mp_main__"}
_INSTALLED = {"site-packages", "dist-packages"}


def library_of(module: str | None) -> str | None:
    """Name and version of the library that a module belongs to; None for a module of the user's own.

    Python's library and what lies in `site-packages` are libraries; scripts, notebooks and packages that are developed
    in a folder of their own are the user's.

    Example:
        >>> library_of("json.decoder") == f"python {sys.version_info.major}.{sys.version_info.minor}"
        True
        >>> library_of("__main__") is None
        True
    """
    return None if not module or module in _MAIN else _library(module.partition(".")[0])


@cache
def _library(top: str) -> str | None:
    if top == "evo_qnas":
        return f"evo_qnas {_version(top)}"
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return f"python {sys.version_info.major}.{sys.version_info.minor}"
    return f"{top} {_version(top)}" if any(_INSTALLED & set(PurePath(place).parts) for place in _places(top)) else None


def _places(top: str) -> list[str]:
    """Files and folders of a package, whether it is imported or not."""
    loaded = sys.modules.get(top)
    try:
        spec = importlib.util.find_spec(top) if loaded is None else loaded.__spec__
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return [] if loaded is None else [str(getattr(loaded, "__file__", ""))]
    return [str(spec.origin or ""), *map(str, spec.submodule_search_locations or ())]


def _version(top: str) -> str:
    """Version of the distribution that a package came with; empty where it has none."""
    try:
        return version(top)
    except PackageNotFoundError:
        names = packages_distributions().get(top, [])
        return version(names[0]) if names else ""
