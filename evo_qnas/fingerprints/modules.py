"""Modules that a function imports when it runs."""

import importlib
from types import ModuleType


def imported_module(level: int, name: str, package: str) -> ModuleType | None:
    """The module that `import name` (with `level` dots) means in a package; None where it cannot be imported."""
    try:
        return importlib.import_module("." * level + name, package or None)
    except Exception:
        # Whatever a user's module raises, the function raises it too when it runs.
        return None
