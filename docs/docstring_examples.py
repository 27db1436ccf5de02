"""Docstrings as the site's builder reads them: it knows a section of doctests by another title than ours."""

import re
from typing import Any

from griffe import Extension, Object

_TITLE = re.compile(r"^(\s*)Example:$", flags=re.MULTILINE)


class DocstringExamples(Extension):
    """Sections called Example become code."""

    def on_object(self, *, obj: Object, **_others: Any) -> None:
        """Renames the section of one object."""
        if obj.docstring is not None:
            obj.docstring.value = _TITLE.sub(r"\1Examples:", obj.docstring.value)
