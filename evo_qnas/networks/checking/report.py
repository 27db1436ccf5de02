"""What a dry run finds: the quantizability report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, final

from evo_qnas.errors import NetworkError
from evo_qnas.frames import DataFrame, data_frame

# How a runtime takes an operation.
IN_INTEGERS, IN_FLOAT, NOT_AT_ALL = "in integers", "in float", "not at all"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reason for which a network cannot go through.

    Attributes:
        network: that was tried, in words.
        operation: that stands in the way, "" where none is known.
        reason: in words.
        line: file, number and text of the line of code from which the operation comes, "" where it is not known.
        way_out: what a user may do.
        runtime: that refuses it, "" where no runtime would take it.
    """

    network: str
    operation: str
    reason: str
    line: str = ""
    way_out: str = ""
    runtime: str = ""

    @property
    def sentence(self) -> str:
        """All of it, for people."""
        operation = f" {self.operation}" if self.operation and self.operation not in self.reason else ""
        place = f" ({self.line})" if self.line else ""
        runtime = f" to {self.runtime}" if self.runtime else ""
        way_out = f": {self.way_out}" if self.way_out else ""
        named = f":{operation}" if operation else ":"
        return f"{self.network} cannot go{runtime or ' through'}{named} {self.reason}{place}{way_out}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A candidate operator that a run does without.

    Attributes:
        block: name.
        operator: label.
        reason: in words.
        floats: it is left out as a choice in floats alone.
    """

    block: str
    operator: str
    reason: str
    floats: bool = False

    @property
    def sentence(self) -> str:
        """All of it, for people."""
        how = " in floats" if self.floats else ""
        return f"operator {self.operator!r} is left out of block {self.block!r}{how}: {self.reason}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRow:
    """A kind of operation of a network.

    Attributes:
        operation: name in the registry of operations, or that of the overload where it is in none.
        role: in the network, `unknown` where it is in no registry.
        number: how often it stands in the network.
        macs: multiplications per example.
        size_bytes: stored bytes.
        macs_share: of the whole network, 0..1.
        bytes_share: of the whole network, 0..1.
        runtimes: by name how each takes it: `in integers`, `in float` (between quantized tensors) or `not at all`.
        reasons: by name of a runtime why it is not taken.
        line: of code from which its first one comes.
    """

    operation: str
    role: str
    number: int
    macs: int
    size_bytes: int
    macs_share: float
    bytes_share: float
    runtimes: Mapping[str, str]
    reasons: Mapping[str, str] = field(default_factory=dict)
    line: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizabilityReport:
    """What becomes of a network, and of the candidate operators of its blocks, in each runtime that is installed.

    Attributes:
        rows: one for each kind of operation of the network, in the order in which they first stand there.
        runtimes: that were tried.
        binding: those of them that are asked for; what they refuse cannot end.
        missing: runtimes whose packages are not installed.
        networks: number of networks that were tried.
        refusals: reasons for which nothing could end; the first is the one to look at.
        left_out: candidates that a run does without.
        remarks: what runtimes refuse that are not asked for.
        blocks: of the network, in order.
        operators: labels of the candidates that fit a block and go through.
    """

    rows: tuple[OperationRow, ...]
    runtimes: tuple[str, ...] = ()
    binding: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    networks: int = 0
    refusals: tuple[Refusal, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """True where nothing stands in the way."""
        return not self.refusals

    def require(self) -> None:
        """Refusal to go on with what cannot end.

        Raises:
            NetworkError: with the operation, the line of code and the way out.
        """
        if self.refusals:
            raise NetworkError(self.refusals[0].sentence)

    def to_dataframe(self) -> DataFrame:
        """A data frame with a row for each kind of operation and a column for each runtime."""
        columns = ["operation", "role", "number", "macs", "macs_share", "size_bytes", "bytes_share"]
        rows = [
            [*(getattr(row, column) for column in columns), *(row.runtimes[name] for name in self.runtimes), row.line]
            for row in self.rows
        ]
        return data_frame(rows, [*columns, *self.runtimes, "line"])

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it, with `fits` and the sentence of each refusal."""
        content = asdict(self)
        content["refusals"] = [{**asdict(refusal), "sentence": refusal.sentence} for refusal in self.refusals]
        return {"fits": self.fits, **content}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "QuantizabilityReport":
        """The report that `to_dict` gave.

        Raises:
            ValueError: the content is none of it.
        """
        try:
            refusals = [{key: value for key, value in row.items() if key != "sentence"} for row in content["refusals"]]
            return cls(
                rows=tuple(OperationRow(**row) for row in content["rows"]),
                refusals=tuple(Refusal(**row) for row in refusals),
                left_out=tuple(LeftOut(**row) for row in content["left_out"]),
                networks=int(content["networks"]),
                **{
                    name: tuple(content[name])
                    for name in ("runtimes", "binding", "missing", "remarks", "blocks", "operators")
                },
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no quantizability report: {error}") from error

    def __str__(self) -> str:
        """The report as text: what it comes to, and a line for each kind of operation."""
        head = ["operation", "number", "MACs", "bytes", *self.runtimes]
        table = [head, *([*_cells(row), *(row.runtimes[name] for name in self.runtimes)] for row in self.rows)]
        widths = [max(len(line[index]) for line in table) for index in range(len(head))]
        lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in table]
        return "\n".join([self.headline, *(line.rstrip() for line in lines if self.rows), *self.sentences()])

    @property
    def headline(self) -> str:
        """Does it go through, and with which blocks and operators."""
        ends = self.blocks if len(self.blocks) < 3 else (self.blocks[0], "..", self.blocks[-1])
        blocks = [f"{len(self.blocks)} block{'s' * (len(self.blocks) > 1)}: {' '.join(ends)}"] if self.blocks else []
        operators = [f"operators: {', '.join(self.operators)}"] if self.operators else []
        return "; ".join(["goes through" if self.fits else "cannot go through", *blocks, *operators])

    def sentences(self) -> tuple[str, ...]:
        """What there is to say beside the table."""
        reasons = dict.fromkeys(
            f"{row.operation} in {name}: {reason}" for row in self.rows for name, reason in row.reasons.items()
        )
        return (
            *reasons,
            *self.remarks,
            *(each.sentence for each in self.left_out),
            *(each.sentence for each in self.refusals),
        )


def _cells(row: OperationRow) -> list[str]:
    return [row.operation, str(row.number), f"{row.macs_share:.1%}", f"{row.bytes_share:.1%}"]
