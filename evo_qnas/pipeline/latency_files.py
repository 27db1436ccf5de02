"""The ONNX files that latency tables are measured on: blocks, the fixed part, and networks put together from them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import torch
from torch import nn

from evo_qnas.files import write_bytes, write_text
from evo_qnas.networks.candidates.blocks import assemble
from evo_qnas.networks.export import Part
from evo_qnas.networks.export.onnx.compose import compose
from evo_qnas.networks.export.onnx.float_model import float_to_onnx
from evo_qnas.networks.export.onnx.idle import idle_model
from evo_qnas.networks.export.onnx.translate import part_to_onnx
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.pipeline.costs import block_facts, fixed_facts
from evo_qnas.pipeline.workplace import Workplace, digest, seed_of
from evo_qnas.tables import Block

Kind = Literal["int8", "fp32"]

EIGHT = Bits(weight=8, activation=8)
_IMAGES = 4


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One thing to measure.

    Attributes:
        kind: quantized or float.
        block: block name, "" for whole networks and the fixed part.
        operator: of the block.
        bits: of the block, (weight, activation); (0, 0) where it has none.
        choices: of a whole network, per block (operator, weight bits, activation bits).
        fixed: the fixed part alone.
    """

    kind: Kind
    block: str = ""
    operator: str = ""
    bits: tuple[int, int] = (8, 8)
    choices: tuple[tuple[str, int, int], ...] = ()
    fixed: bool = False

    @property
    def name(self) -> str:
        """Short and unique."""
        parts = [self.kind, self.block, self.operator, f"w{self.bits[0]}a{self.bits[1]}"]
        if self.choices:
            parts = [self.kind, "network", digest(self.choices)[:12]]
        return "/".join([self.kind, "fixed"] if self.fixed else parts)


def timed_bits(block: Block) -> dict[tuple[str, int, int], tuple[int, int]]:
    """For each choice of a block the bits at which its operator is timed.

    The integer kernels of ONNX Runtime work on 8-bit codes whatever the bits, so weights are timed at 8 bits and
    activations at 8 and, where a limit on codes is one more operation, at the fewest bits that the block offers.
    """
    fewest: dict[str, int] = {}
    for operator, _, activation in block.labels:
        if 0 < activation < 8:
            fewest[operator] = min(activation, fewest.get(operator, 8))
    return {
        (operator, weight, activation): (8, fewest[operator] if 0 < activation < 8 else 8)
        for operator, weight, activation in block.labels
    }


@dataclass(frozen=True)
class UnitFile:
    """Writes the files of units of one network or operator to `latency/`; sent to worker processes."""

    place: Workplace

    def path(self, unit: Unit) -> Path:
        """Where it lies: the name says what it was made from."""
        made_from = digest("latency file 2", self.place.tables_fingerprint, unit.name)
        return self.place.folder / "latency" / "files" / f"{made_from}.onnx"

    def __call__(self, units: Sequence[Unit]) -> list[bool]:
        """Whether each has something to run: an operator that does nothing has no file but an empty mark."""
        missing = [unit for unit in units if not (self.path(unit).is_file() or self._mark(unit).is_file())]
        for unit, (model, facts) in zip(missing, self.models(missing) if missing else (), strict=True):
            if facts:
                write_text(self._facts(unit), json.dumps(facts))
            if model is None:
                write_bytes(self._mark(unit), b"")
            else:
                write_bytes(self.path(unit), model.SerializeToString(deterministic=True))
        return [self.path(unit).is_file() for unit in units]

    def _mark(self, unit: Unit) -> Path:
        return self.path(unit).with_suffix(".none")

    def _facts(self, unit: Unit) -> Path:
        return self.path(unit).with_suffix(".json")

    def facts(self, unit: Unit) -> dict[str, Any]:
        """What is known of a quantized block or of the fixed part, see `costs`; its file has to be written."""
        found: dict[str, Any] = json.loads(self._facts(unit).read_text(encoding="utf-8"))
        return found

    @torch.no_grad()
    def models(self, units: Sequence[Unit]) -> list[tuple[Any | None, dict[str, Any]]]:
        """The ONNX models of units, None where one has nothing to run, and what `costs` wants to know of them."""
        place, first = self.place, units[0]
        if first.choices or first.fixed:
            return [self._network(unit) for unit in units]
        module = place.trained(first.block, first.operator)
        generator = torch.Generator().manual_seed(seed_of("latency inputs", place.card.seed, first.block) % 2**31)
        inputs = torch.randn(_IMAGES, *place.shape(first.block).inputs, generator=generator)
        return block_models(module, inputs, kind=first.kind, bits=[unit.bits for unit in units])

    def _network(self, unit: Unit) -> tuple[Any, dict[str, Any]]:
        place = self.place
        names = [shape.name for shape in place.shapes]
        images = place.splits.train.take(slice(0, _IMAGES))[0]
        rows = dict(zip(names, unit.choices, strict=True)) if unit.choices else {}
        modules = {name: place.trained(name, operator) for name, (operator, _, _) in rows.items()}
        network = assemble(place.teacher, modules)
        if unit.kind == "fp32":
            return float_to_onnx(network, images), {}
        bits = dict.fromkeys(names, place.fixed_bits)
        made = quantize(network, images[:2], Policy(fixed=place.fixed_bits, blocks=bits))
        made.calibrate([images])
        return part_to_onnx(made, Part(blocks=tuple(names))), fixed_facts(made, names)

    def compose(self, unit: Unit, parts: Mapping[str, Unit]) -> Path:
        """Writes the file of a whole INT8 network from those of its parts; gives its path.

        Args:
            unit: the network.
            parts: per block the unit that is its choice.
        """
        import onnx

        path = self.path(unit)
        if not path.is_file():
            files = {block: self.path(part) for block, part in parts.items()}
            models = {block: onnx.load(file) if file.is_file() else None for block, file in files.items()}
            whole = compose(onnx.load(self.path(Unit(kind="int8", fixed=True))), models)
            write_bytes(path, whole.SerializeToString(deterministic=True))
        return path


def block_models(
    module: nn.Module, inputs: torch.Tensor, *, kind: Kind, bits: Sequence[tuple[int, int]]
) -> list[tuple[Any | None, dict[str, Any]]]:
    """A block as an ONNX model at each pair of bits, with codes in and out, None where it does nothing; and its facts.

    Raises:
        NetworkError: an operation has no translation.
    """
    if kind == "fp32":
        model = float_to_onnx(module, inputs)
        return [(model if any(node.op_type != "Identity" for node in model.graph.node) else None, {})] * len(bits)
    made = quantize(module, inputs[:2], Policy(fixed=EIGHT))
    facts = block_facts(made)
    if len(made.quantizers) < 2 and not any(node.op == "call_function" for node in made.graph.graph.nodes):
        return [(None, facts)] * len(bits)
    models: list[tuple[Any | None, dict[str, Any]]] = []
    for weight, activation in bits:
        made.set_bits(Bits(weight=weight or 8, activation=activation or 8))
        made.calibrate([inputs])
        models.append((part_to_onnx(made, Part(codes=True)), facts))
    return models


def start_model() -> Any:
    """A model that does nothing: what every run costs before a kernel starts."""
    return idle_model()


def network_unit(kind: Kind, blocks: Sequence[Block], genome: Sequence[int]) -> Unit:
    """The whole network of a genome."""
    choices = tuple(block.labels[value] for block, value in zip(blocks, genome, strict=True))
    return Unit(kind=kind, choices=choices)


def check_units(block: Block, weight_bits: Sequence[int], activation_bits: Sequence[int], operator: str) -> list[Unit]:
    """One operator of a block at all weight bits and at all activation bits: does its time depend on them?"""
    pairs = [(bits, 8) for bits in weight_bits] + [(8, bits) for bits in activation_bits]
    return [Unit(kind="int8", block=block.name, operator=operator, bits=pair) for pair in dict.fromkeys(pairs)]


def grouped(units: Iterable[Unit]) -> list[tuple[Unit, ...]]:
    """Units that are one network at several bits together, so that it is captured once."""
    groups: dict[tuple[object, ...], list[Unit]] = {}
    for unit in units:
        groups.setdefault((unit.kind, unit.block, unit.operator, unit.choices, unit.fixed), []).append(unit)
    return [tuple(group) for group in groups.values()]
