"""The files that latency tables are measured on: blocks, the fixed part, and networks put together from them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch

from evo_qnas.data.nests import rows
from evo_qnas.errors import NetworkError
from evo_qnas.files import write_bytes, write_text
from evo_qnas.networks.candidates.blocks import assemble
from evo_qnas.networks.export import BlockRuntime, Part, block_runtime
from evo_qnas.networks.quantization.policy import FLOAT_ACTIVATION_BITS
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.pipeline.context import RunContext, digest, seed_of
from evo_qnas.pipeline.latency.counted import block_facts, fixed_facts
from evo_qnas.pipeline.latency.precision import INT8, Precision
from evo_qnas.reading import read_json
from evo_qnas.tables import Block

EIGHT = Bits(weight=8, activation=8)
_IMAGES = 4


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One thing to measure.

    Attributes:
        precision: quantized or float.
        block: block name, "" for whole networks and the fixed part.
        operator: of the block.
        bits: of the block, (weight, activation); (0, 0) where it has none.
        choices: of a whole network, per block (operator, weight bits, activation bits).
        fixed: the fixed part alone.
    """

    precision: Precision
    block: str = ""
    operator: str = ""
    bits: tuple[int, int] = (8, 8)
    choices: tuple[tuple[str, int, int], ...] = ()
    fixed: bool = False

    @property
    def name(self) -> str:
        """Short and unique."""
        parts = [self.block, self.operator, f"w{self.bits[0]}a{self.bits[1]}"]
        if self.choices:
            parts = ["network", digest(self.choices)[:12]]
        return "/".join([self.precision.name, *(["fixed"] if self.fixed else parts)])

    @property
    def composed(self) -> bool:
        """True for a whole network that is put together from the files of its parts."""
        return self.precision.quantized and bool(self.choices)


def timed_bits(block: Block) -> dict[tuple[str, int, int], tuple[int, int]]:
    """For each choice of a block the bits at which its operator is timed.

    The integer kernels of ONNX Runtime work on 8-bit codes whatever the bits, so weights are timed at 8 bits and
    activations at 8 and, where a limit on codes is one more operation, at the fewest bits that the block offers.
    Floats are timed as floats, once for parameters of 16 and of 32 bits, which are the same once a file is loaded.
    """
    fewest: dict[str, int] = {}
    for operator, _, activation in block.labels:
        if 0 < activation < 8:
            fewest[operator] = min(activation, fewest.get(operator, 8))
    floats = (FLOAT_ACTIVATION_BITS, FLOAT_ACTIVATION_BITS)
    return {
        (operator, weight, activation): floats
        if activation == FLOAT_ACTIVATION_BITS
        else (8, fewest[operator] if 0 < activation < 8 else 8)
        for operator, weight, activation in block.labels
    }


@final
@dataclass(frozen=True)
class UnitFile:
    """Writes the files of units of one network or operator to `latency/files/`; sent to worker processes.

    Attributes:
        context: the run.
        runtime: name of the runtime whose files they are.
    """

    context: RunContext
    runtime: str

    @property
    def writer(self) -> BlockRuntime:
        """The runtime.

        Raises:
            NetworkError: there is none of this name, or it writes whole networks only.
        """
        return block_runtime(self.runtime)

    def path(self, unit: Unit) -> Path:
        """Path of a unit's file: the name says what it was made from."""
        name = digest("latency file", self.context.fingerprints.tables, unit.name)
        return self.context.paths.latency / "files" / f"{name}{self.writer.suffix}"

    @torch.no_grad()
    def __call__(self, units: Sequence[Unit]) -> list[bool]:
        """True for each unit that has something to run: an operator that does nothing has an empty mark for a file."""
        missing = [unit for unit in units if not (self.path(unit).is_file() or self._mark(unit).is_file())]
        if missing and (missing[0].choices or missing[0].fixed):
            for unit in missing:
                self._write_network(unit)
        elif missing:
            self._write_block(missing)
        return [self.path(unit).is_file() for unit in units]

    def _mark(self, unit: Unit) -> Path:
        return self.path(unit).with_suffix(".none")

    def _facts(self, unit: Unit) -> Path:
        return self.path(unit).with_suffix(".json")

    def facts(self, unit: Unit) -> dict[str, Any]:
        """Facts of a quantized block or of the fixed part, see `counted`; its file has to be written."""
        path = self._facts(unit)
        content = read_json(path, NetworkError)
        if not isinstance(content, dict):
            raise NetworkError(f"{path} is damaged: delete {path.parent} and run the same command again")
        return content

    def _write_block(self, units: Sequence[Unit]) -> None:
        """Writes a block at each unit's bits, with codes in and out where it is quantized."""
        context, first = self.context, units[0]
        module = context.candidates.trained(first.block, first.operator)
        generator = torch.Generator().manual_seed(seed_of("latency inputs", context.card.seed, first.block) % 2**31)
        inputs = torch.randn(_IMAGES, *context.shape(first.block).inputs, generator=generator)
        scheme = context.card.quantization.scheme
        network = quantize(module, inputs[:2], Policy(fixed=EIGHT, scheme=scheme))
        idle = len(network.quantizers) < 2 and not any(n.op == "call_function" for n in network.graph.graph.nodes)
        for unit in units:
            bits = Bits(weight=unit.bits[0] or 8, activation=unit.bits[1] or 8)
            own = quantize(module, inputs[:2], Policy(fixed=bits, scheme=scheme)) if bits.in_floats else network
            if unit.precision.quantized:
                write_text(self._facts(unit), json.dumps(block_facts(own)))
            if idle:
                write_bytes(self._mark(unit), b"")
            elif not unit.precision.quantized:
                self.writer.write_float(module, inputs, self.path(unit))
            else:
                if own is network:
                    own.set_bits(bits)
                own.calibrate([inputs])
                self.writer.write_part(own, self.path(unit), Part(codes=True))

    def _write_network(self, unit: Unit) -> None:
        """Writes a whole float network, or the fixed part of the quantized teacher."""
        context = self.context
        names = [shape.name for shape in context.shapes]
        images = context.splits.train.take(slice(0, _IMAGES))[0]
        example = rows(images, slice(0, 2))
        chosen = dict(zip(names, unit.choices, strict=True)) if unit.choices else {}
        modules = {name: context.candidates.trained(name, operator) for name, (operator, _, _) in chosen.items()}
        network = assemble(context.teacher, modules)
        if not unit.precision.quantized:
            self.writer.write_float(network, images, self.path(unit))
            return
        bits, scheme = dict.fromkeys(names, context.fixed_bits), context.card.quantization.scheme
        quantized = quantize(network, example, Policy(fixed=context.fixed_bits, blocks=bits, scheme=scheme))
        quantized.calibrate([images])
        write_text(self._facts(unit), json.dumps(fixed_facts(quantized, names)))
        self.writer.write_part(quantized, self.path(unit), Part(blocks=tuple(names)))

    def compose(self, unit: Unit, parts: Mapping[str, Unit]) -> Path:
        """Writes the file of a whole INT8 network from those of its parts; gives its path.

        Args:
            unit: the network.
            parts: per block the unit that is its choice.
        """
        path = self.path(unit)
        if not path.is_file():
            files = {block: self.path(part) for block, part in parts.items()}
            fixed = self.path(Unit(precision=INT8, fixed=True))
            self.writer.compose(fixed, {block: file if file.is_file() else None for block, file in files.items()}, path)
        return path

    def idle(self) -> Path:
        """Writes a network that does nothing: what every run costs before a kernel starts; gives its path."""
        path = self.context.paths.latency / "files" / f"start{self.writer.suffix}"
        self.writer.write_idle(path)
        return path


def network_unit(precision: Precision, blocks: Sequence[Block], genome: Sequence[int]) -> Unit:
    """The whole network of a genome."""
    choices = tuple(block.labels[value] for block, value in zip(blocks, genome, strict=True))
    return Unit(precision=precision, choices=choices)


def check_units(block: Block, weight_bits: Sequence[int], activation_bits: Sequence[int], operator: str) -> list[Unit]:
    """One operator of a block at all weight bits and at all activation bits: does its time depend on them?"""
    pairs = [(bits, 8) for bits in weight_bits] + [(8, bits) for bits in activation_bits]
    return [Unit(precision=INT8, block=block.name, operator=operator, bits=pair) for pair in dict.fromkeys(pairs)]


def grouped(units: Iterable[Unit]) -> list[tuple[Unit, ...]]:
    """Units that are one network at several bits together, so that it is captured once."""
    groups: dict[tuple[object, ...], list[Unit]] = {}
    for unit in units:
        groups.setdefault((unit.precision, unit.block, unit.operator, unit.choices, unit.fixed), []).append(unit)
    return [tuple(group) for group in groups.values()]
