"""Objects of the user's by `module:object`."""

import importlib
import sys
from pathlib import Path
from typing import Any

from evo_qnas.errors import EvoQnasError


def imported(text: str, *, key: str, error: type[EvoQnasError]) -> Any:
    """The object that `module:object` names; modules of the working folder are found as well.

    Args:
        text: of that form.
        key: where it stands, for the error.
        error: what is raised.

    Raises:
        EvoQnasError: the module cannot be imported, or has no such object.

    Example:
        >>> from evo_qnas.errors import CardError
        >>> imported("math:sqrt", key="task", error=CardError)(9.0)
        3.0
    """
    module, _, name = text.partition(":")
    if not module or module.startswith(".") or not name:
        raise error(f"{key} = {text!r} needs the form 'module:object'")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as problem:  # the module is the user's: anything may come out of it
        raise error(f"{key} = {text!r} cannot be imported: {problem}") from problem
    return found
