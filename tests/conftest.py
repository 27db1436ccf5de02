"""Types and shapes in signatures are checked while testing; real data is found or the test is skipped with a reason.

The library looks for data in `$EVO_QNAS_DATA` alone; tests set it to `../shared/data` beside the checkout where it is
absent.
"""

import dataclasses
import inspect
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
from beartype import BeartypeConf, beartype

# Before torch is imported: tests that run beside each other take a core each, as do the processes that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_jaxtyped = jaxtyping.jaxtyped


def _checked(target: Any = None, *, typechecker: Callable[..., Any]) -> Any:
    """What jaxtyping's import hook decorates with: its own check where a signature has a shape, beartype elsewhere.

    Beartype alone takes a microsecond a call, a check of shapes tens of them, and one in five signatures has a shape.
    """
    if target is None:
        return partial(_checked, typechecker=typechecker)
    if inspect.isclass(target):
        if dataclasses.is_dataclass(target) and "__init__" in vars(target):
            type.__setattr__(target, "__init__", _checked(target.__init__, typechecker=typechecker))
        return target
    function = target.fget if isinstance(target, property) else getattr(target, "__func__", target)
    shapes = any("jaxtyping." in repr(annotation) for annotation in inspect.get_annotations(function).values())
    return _jaxtyped(target, typechecker=typechecker) if shapes else _PLAIN(target)


setattr(jaxtyping, "jaxtyped", _checked)  # noqa: B010  # a plain assignment has other types for mypy
# A wrong type is a TypeError, as it is where nothing checks, and as jaxtyping has it: readers turn it into a sentence.
_PLAIN = beartype(conf=BeartypeConf(violation_type=jaxtyping.TypeCheckError))
_HOOK = jaxtyping.install_import_hook("evo_qnas", "beartype.beartype")

_BESIDE = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
if _BESIDE.is_dir():
    os.environ.setdefault("EVO_QNAS_DATA", str(_BESIDE))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, `$EVO_QNAS_DATA` or `../shared/data`; skips where it is absent."""
    folder = Path(os.environ.get("EVO_QNAS_DATA", _BESIDE))
    if not folder.is_dir():
        pytest.skip(f"needs the real data at {folder} (or set EVO_QNAS_DATA)")
    return folder
