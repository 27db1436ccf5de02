"""The findings of a check of tables."""

from dataclasses import dataclass
from typing import Literal, final

Severity = Literal["error", "warning", "info"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing about tables.

    Attributes:
        severity: `error` makes results wrong, `warning` should be looked at, `info` is allowed.
        rule: name of the rule.
        text: one sentence.
    """

    severity: Severity
    rule: str
    text: str
