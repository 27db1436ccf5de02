"""Source files of a model's classes: what a name alone does not tell apart."""

import hashlib
import inspect
from functools import cache
from pathlib import Path

from torch import nn

# Their versions are those of packages, and change with them.
_KNOWN = ("torch.", "evo_qnas.")


def sources_of(model: nn.Module) -> dict[str, str]:
    """Digests of the files in which the classes of a model are written, by module; without torch's and ours."""
    kinds = {type(module) for module in model.modules()}
    found = {kind.__module__: _digest(kind) for kind in kinds if not f"{kind.__module__}.".startswith(_KNOWN)}
    return dict(sorted(found.items()))


def _digest(kind: type[nn.Module]) -> str:
    """Of the file of a class, "" where it is in none."""
    try:
        path = inspect.getsourcefile(kind)
    except TypeError:
        return ""
    return "" if path is None else _of_file(Path(path))


@cache
def _of_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
