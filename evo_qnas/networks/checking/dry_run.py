"""A network, its blocks' candidates and one assembled network, each tried once."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from evo_qnas.data.nests import Nest, call, mapped
from evo_qnas.networks.candidates.blocks import BlockShape, assemble, recording
from evo_qnas.networks.candidates.framing import block_of
from evo_qnas.networks.candidates.operators import TEACHER as OWN
from evo_qnas.networks.checking.census import census
from evo_qnas.networks.checking.gradients import own_gradients
from evo_qnas.networks.checking.lines import line_of_error
from evo_qnas.networks.checking.report import NOT_AT_ALL, LeftOut, OperationRow, QuantizabilityReport, Refusal
from evo_qnas.networks.checking.structure import parts_of, structure_of
from evo_qnas.networks.checking.trial import WAYS, Distance, Trial, quiet, try_network
from evo_qnas.networks.export import RUNTIMES, Runtime
from evo_qnas.networks.quantization.policy import FLOAT_ACTIVATION_BITS
from evo_qnas.networks.quantization.quantize import Bits, Policy
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME

TEACHER, ASSEMBLED = "the network", "a network of other operators"


@final
@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What is tried, and how.

    Attributes:
        teacher: the network, in evaluation mode; stays unchanged.
        example: two inputs.
        fixed: bits outside the blocks.
        few: bits of the blocks, the lowest that a search may choose.
        shapes: of its blocks.
        candidates: per block its untrained candidates by label.
        scheme: name of the quantization scheme.
        binding: runtimes that are asked for; those that are not installed are left aside.
        distance: of outputs from the teacher's, for the step of fine-tuning; None for the mean square.
        left_out: candidates that cannot even be built.
        float_bits: widths of parameters at which blocks may be computed in floats.
    """

    teacher: nn.Module
    example: Nest
    fixed: Bits
    few: Bits
    shapes: Sequence[BlockShape] = ()
    candidates: Mapping[str, Mapping[str, nn.Module]] = field(default_factory=dict)
    scheme: str = DEFAULT_SCHEME
    binding: Sequence[str] = ()
    distance: Distance | None = None
    left_out: Sequence[LeftOut] = ()
    float_bits: Sequence[int] = ()

    @cached_property
    def runtimes(self) -> dict[str, Runtime]:
        """The runtimes that are installed, by name; of those made from another's files only the ones asked for."""
        return {name: runtime for name, runtime in self._known.items() if not runtime.missing()}

    @property
    def _known(self) -> dict[str, Runtime]:
        return {name: runtime for name, runtime in RUNTIMES.items() if not runtime.made_from or name in self.binding}

    def report(self) -> QuantizabilityReport:
        """The report; nothing is raised for what does not go through."""
        with tempfile.TemporaryDirectory() as folder:
            return self._report(Path(folder))

    def _report(self, folder: Path) -> QuantizabilityReport:
        refusals = self._gradients(TEACHER, self.teacher, self.example)
        trial = self._try(TEACHER, self.teacher, self.example, self._policy(self.shapes), folder)
        rows = self._rows(trial)
        refusals += self._unknown(rows)
        refusals += self._binding_refusals(trial)
        left_out, remarks, tried = list(self.left_out), self._remarks(trial), 1
        if not refusals and self.candidates:
            found = _Candidates(self, folder)
            left_out += found.left_out
            remarks += found.remarks
            tried += found.tried
            more, assembled = self._assembled(left_out, folder)
            left_out += more
            refusals += assembled
            tried += 1
        return QuantizabilityReport(
            rows=rows,
            runtimes=tuple(self.runtimes),
            binding=self._asked,
            missing=tuple(name for name in self._known if name not in self.runtimes),
            networks=tried,
            refusals=tuple(refusals),
            left_out=tuple(left_out),
            remarks=tuple(dict.fromkeys(remarks)),
            blocks=tuple(shape.name for shape in self.shapes),
            operators=self._going_through(left_out),
        )

    def _going_through(self, left_out: Sequence[LeftOut]) -> tuple[str, ...]:
        """Labels of the candidates that are left in some block."""
        without = {(each.block, each.operator) for each in left_out if not each.floats}
        labels = [(block, label) for block, found in self.candidates.items() for label in found]
        return tuple(dict.fromkeys(label for block, label in labels if (block, label) not in without))

    @property
    def _asked(self) -> tuple[str, ...]:
        """The runtimes that are asked for and installed."""
        return tuple(name for name in self.binding if name in self.runtimes)

    def _policy(self, shapes: Sequence[BlockShape]) -> Policy:
        return Policy(fixed=self.fixed, blocks={shape.name: self.few for shape in shapes}, scheme=self.scheme)

    def _try(self, name: str, module: nn.Module, example: Nest, policy: Policy, folder: Path) -> Trial:
        return try_network(name, module, example, policy, runtimes=self.runtimes, folder=folder, distance=self.distance)

    def _rows(self, trial: Trial) -> tuple[OperationRow, ...]:
        """The operations of a network; none where it cannot be captured."""
        if trial.quantized is None:
            return ()
        taken = frozenset() if trial.refusal else frozenset(self.runtimes) - frozenset(trial.refused)
        return census(trial.quantized, self.runtimes, trial.nodes, taken=taken)

    def _unknown(self, rows: Sequence[OperationRow]) -> list[Refusal]:
        """Operations that nobody knows, and that no runtime that is asked for takes."""
        return [
            Refusal(
                network=TEACHER,
                operation=row.operation,
                reason=f"{row.operation} is no operation that evo-qnas knows",
                line=row.line,
                way_out=WAYS["operation"],
            )
            for row in rows
            if row.role == "unknown" and not any(row.runtimes[name] != NOT_AT_ALL for name in self._asked)
        ]

    def _binding_refusals(self, trial: Trial) -> list[Refusal]:
        """Refusals of a network that count: of all runtimes, or of those that are asked for."""
        found = [] if trial.refusal is None else [trial.refusal]
        return found + [trial.refused[name] for name in self.binding if name in trial.refused]

    def _remarks(self, trial: Trial) -> list[str]:
        """What runtimes refuse that are not asked for."""
        return [refusal.sentence for name, refusal in trial.refused.items() if name not in self.binding]

    def _gradients(self, name: str, module: nn.Module, inputs: Nest) -> list[Refusal]:
        """Functions with a gradient of their own in a network."""
        with own_gradients() as found, quiet():
            try:
                call(module.eval(), inputs)
            except Exception as error:  # a user's network: anything may come out of it
                reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
                line = line_of_error(error)
                return [Refusal(network=name, operation="", reason=reason, line=line, way_out=WAYS["running"])]
        return [
            Refusal(
                network=name,
                operation=function,
                reason=f"{function} has a gradient of its own, which is lost where the network is captured",
                line=line,
                way_out=WAYS["gradient"],
            )
            for function, line in found.items()
        ]

    def _assembled(self, left_out: Sequence[LeftOut], folder: Path) -> tuple[list[LeftOut], list[Refusal]]:
        """A network with another operator in every block; where it is refused, the operators at fault are left out."""
        without = {(each.block, each.operator) for each in left_out if not each.floats}
        chosen: dict[str, str] = {}
        for index, shape in enumerate(self.shapes):
            labels = [label for label in self.candidates.get(shape.name, {}) if (shape.name, label) not in without]
            if labels:
                chosen[shape.name] = labels[index % len(labels)]
        refusals = self._of_assembled(chosen, folder)
        if not refusals:
            return [], []
        found = []
        for block, label in list(chosen.items()):
            alone = self._of_assembled({block: label}, folder)
            if alone:
                found.append(LeftOut(block=block, operator=label, reason=reason_of(alone[0])))
                del chosen[block]
        return found, self._of_assembled(chosen, folder) if found else refusals

    def _of_assembled(self, chosen: Mapping[str, str], folder: Path) -> list[Refusal]:
        """Refusals of a network with these operators."""
        modules = {block: self.candidates[block][label] for block, label in chosen.items()}
        words = ", ".join(f"{label} in {block}" for block, label in chosen.items())
        network, policy = assemble(self.teacher, modules), self._policy(self.shapes)
        return self._binding_refusals(self._try(f"{ASSEMBLED} ({words})", network, self.example, policy, folder))


def reason_of(refusal: Refusal) -> str:
    """A refusal without the name of the network."""
    runtime = f"{refusal.runtime} refuses it: " if refusal.runtime else ""
    return f"{runtime}{refusal.reason}{f' ({refusal.line})' if refusal.line else ''}"


@final
class _Candidates:
    """The candidates of all blocks, those of one structure tried once; stacks of layers that went through are not.

    Attributes:
        left_out: those that cannot go through.
        remarks: what runtimes refuse that are not asked for.
        tried: number of networks that were tried.
    """

    def __init__(self, dry_run: DryRun, folder: Path) -> None:
        self.left_out: list[LeftOut] = []
        self.remarks: list[str] = []
        self._verdicts: dict[Any, tuple[str, list[str]]] = {}
        self._sound: set[Any] = set()
        self._dry_run, self._folder = dry_run, folder
        names = [shape.name for shape in dry_run.shapes]
        with torch.no_grad(), recording(dry_run.teacher, names) as recorded:
            call(dry_run.teacher.eval(), dry_run.example)
        for shape in dry_run.shapes:
            for label, module in dry_run.candidates.get(shape.name, {}).items():
                inputs = mapped(torch.clone, recorded[shape.name][0])
                reason, remarks = self._verdict(module, shape, label, inputs, dry_run.few)
                if reason:
                    self.left_out.append(LeftOut(block=shape.name, operator=label, reason=reason))
                self.remarks += remarks
            if dry_run.float_bits:
                self._try_in_floats(shape, recorded[shape.name][0])

    def _try_in_floats(self, shape: BlockShape, inputs: Nest) -> None:
        """Leaves out the operators of a block, its own too, that cannot go through in floats."""
        dry_run = self._dry_run
        without = {each.operator for each in self.left_out if each.block == shape.name}
        own = {OWN: block_of(dry_run.teacher, shape.name)}
        bits = Bits(weight=min(dry_run.float_bits), activation=FLOAT_ACTIVATION_BITS)
        for label, module in {**own, **dry_run.candidates.get(shape.name, {})}.items():
            if label in without:
                continue
            reason, remarks = self._verdict(module, shape, label, mapped(torch.clone, inputs), bits)
            if reason:
                self.left_out.append(LeftOut(block=shape.name, operator=label, reason=reason, floats=True))
            self.remarks += remarks

    @property
    def tried(self) -> int:
        """Number of networks that were tried."""
        return len(self._verdicts)

    def _verdict(
        self, module: nn.Module, shape: BlockShape, label: str, inputs: Nest, bits: Bits
    ) -> tuple[str, list[str]]:
        """The reason for which a candidate is left out, "" for none, and remarks."""
        if not list(module.parameters()):
            return "", []  # nothing of it is quantized or written
        key = (structure_of(module, shape), bits.in_floats)
        parts = {(part, bits.in_floats) for part in parts_of(module)}
        if key not in self._verdicts and parts and parts <= self._sound:
            return "", []
        if key not in self._verdicts:
            how = " in floats" if bits.in_floats else ""
            dry_run, name = self._dry_run, f"operator {label!r} of block {shape.name!r}{how}"
            policy = Policy(fixed=bits, scheme=dry_run.scheme)
            refusals = dry_run._gradients(name, module, inputs)
            trial = try_network(name, module, inputs, policy, runtimes=dry_run.runtimes, folder=self._folder)
            refusals += dry_run._binding_refusals(trial)
            self._verdicts[key] = (reason_of(refusals[0]) if refusals else "", dry_run._remarks(trial))
            if self._verdicts[key] == ("", []):
                self._sound |= parts
        return self._verdicts[key]
