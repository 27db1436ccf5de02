"""The verdict of a run as values: its best network, and what its health checks found."""

from enum import StrEnum
from typing import final

from evo_qnas.summary.network import Value


class State(StrEnum):
    """What a finding means for somebody who wants to use the networks."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@final
class Finding(Value):
    """What a health check found.

    Attributes:
        check: its name in the registry.
        state: good, to be known, or bad.
        text: one sentence.
    """

    check: str
    state: State
    text: str


@final
class Verdict(Value):
    """What a run comes to.

    Attributes:
        network: id of the best validated network; None where none was validated.
        headline: the best network in one or two sentences: its saving, its metric, what is tied with it.
        tied_with: ids of networks whose metric cannot be told apart from its.
        findings: of the health checks, in the order of their registry.
    """

    network: str | None
    headline: str
    tied_with: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
