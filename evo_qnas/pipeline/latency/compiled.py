"""Columns of devices by a compiler's account: of blocks alone, calibrated on whole networks that it compiles too."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int

from evo_qnas.data.nests import rows
from evo_qnas.errors import CardError
from evo_qnas.files import write_text
from evo_qnas.networks.candidates.blocks import assemble
from evo_qnas.networks.export import CompilingRuntime, compiling_runtime
from evo_qnas.networks.export.findings import Footprint
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.training.refine import take_refined
from evo_qnas.pipeline.cards.latency import CompiledCard
from evo_qnas.pipeline.context import RunContext, digest, read_json, seed_of, to_json
from evo_qnas.pipeline.jobs import in_jobs
from evo_qnas.pipeline.latency.calibration import agreements, number_or_none, random_genomes
from evo_qnas.pipeline.problems import compiled_columns, kinds_of
from evo_qnas.pipeline.refinement import refined_weights
from evo_qnas.tables import Block, Tables
from evo_qnas.tables.calibration import LEAST_AFFINE, Calibration, calibrate

# Examples that ranges of activations are read from: they change no cycle and no byte.
_IMAGES = 4
Label = tuple[str, int, int]


def compile_tables(context: RunContext, tables: Tables, settings: CompiledCard, *, jobs: int) -> Tables:
    """Tables with `flash_bytes@NAME`, and `latency_ms@NAME` where it is estimated, for each compiler of the section.

    Each account lies in `compiled/`, so that a kill loses those of one block's operator at most.

    Args:
        context: a run with trained blocks.
        tables: its tables.
        settings: `[compiled]` of a card.
        jobs: processes that compile.

    Raises:
        NetworkError: an operation cannot be exported, or the compiler refuses a block.
        CardError: there are fewer networks than calibrate.
    """
    path, stamp = context.paths.tables, context.paths.compiled / "compiled.json"
    fingerprint = digest("compiled", context.fingerprints.tables, settings.model_dump(mode="json"))
    if read_json(stamp, fingerprint) is not None and path.is_file():
        made = Tables.load(path)
        if all(column in made.columns for column in compiled_columns(settings)):
            return made
    genomes = _genomes(context, tables, settings)
    if len(genomes) < LEAST_AFFINE:
        raise CardError(
            f"compiled blocks are calibrated on at least {LEAST_AFFINE} networks, and the candidates make "
            f"{len(genomes)}: add operators or bit-widths, or leave [compiled] out"
        )
    for name in settings.runtimes:
        tables = _with_columns(context, tables, settings, genomes, name=name, jobs=jobs)
    tables.save(path)
    write_text(stamp, to_json({"fingerprint": fingerprint}))
    # From the file, so that a first run and a resumed one see the very same tables.
    return Tables.load(path)


def _genomes(context: RunContext, tables: Tables, settings: CompiledCard) -> Int[np.ndarray, "n blocks"]:
    """The networks that calibrate, then those held out."""
    rng = np.random.default_rng(seed_of("compiled networks", context.card.seed))
    return random_genomes(tables, settings.networks + settings.held_out, rng)


def compiled_bits(block: Block) -> dict[Label, Label]:
    """For each choice of a block the one that is compiled for it.

    Weights of fewer bits are stored in fewer bytes, so each width counts; activations are bytes whatever their bits,
    and a limit on codes is one more operation, the same at all widths below 8.
    """
    fewest: dict[str, int] = {}
    for operator, _, activation in block.labels:
        if 0 < activation < 8:
            fewest[operator] = min(activation, fewest.get(operator, 8))
    return {
        (operator, weight, activation): (operator, weight, fewest[operator] if 0 < activation < 8 else activation)
        for operator, weight, activation in block.labels
    }


@final
@dataclass(frozen=True)
class Account:
    """A compiler's accounts of blocks and networks, kept in `compiled/`; sent to worker processes.

    Attributes:
        context: the run.
        runtime: name of the compiler.
    """

    context: RunContext
    runtime: str

    @property
    def compiler(self) -> CompilingRuntime:
        """The compiler."""
        return compiling_runtime(self.runtime)

    @torch.no_grad()
    def __call__(self, item: tuple[str, tuple[Label, ...]]) -> list[Footprint]:
        """Of a block's choices of one operator; of one whole network where the block has no name."""
        block, labels = item
        path = self._path(block, labels)
        known = _read(read_json(path, self._fingerprint()))
        if len(known) == (len(labels) if block else 1):
            return known
        found = self._of_block(block, labels) if block else self.compiler.footprints([self._network(labels)])
        content = {"fingerprint": self._fingerprint(), "accounts": [asdict(each) for each in found]}
        write_text(path, to_json(content))
        return found

    def _fingerprint(self) -> str:
        return digest("account", self.context.fingerprints.tables, self.compiler.versions())

    def _path(self, block: str, labels: Sequence[Label]) -> Path:
        return self.context.paths.compiled / self.runtime / f"{digest(block, list(labels))[:24]}.json"

    def _of_block(self, block: str, labels: Sequence[Label]) -> list[Footprint]:
        context, operator = self.context, labels[0][0]
        module = context.candidates.trained(block, operator)
        generator = torch.Generator().manual_seed(seed_of("compiled inputs", context.card.seed, block) % 2**31)
        inputs = torch.randn(_IMAGES, *context.shape(block).inputs, generator=generator)
        refined = refined_weights(context, block, operator)
        policy = Policy(fixed=Bits(weight=8, activation=8), scheme=context.card.quantization.scheme)
        plain = quantize(module, inputs[:2], policy)
        if _is_idle(plain):
            return [_NOTHING] * len(labels)

        def networks() -> Iterator[QuantizedNetwork]:
            for _, weight, activation in labels:
                bits, network = Bits(weight=weight or 8, activation=activation or 8), plain
                if bits.in_floats or weight in refined:
                    network = quantize(module, inputs[:2], replace(policy, fixed=bits))
                else:
                    network.set_bits(bits)
                if weight in refined:
                    take_refined(network, refined[weight])
                network.calibrate([inputs])
                yield network

        return self.compiler.footprints(networks())

    def _network(self, labels: Sequence[Label]) -> QuantizedNetwork:
        context = self.context
        chosen = dict(zip([shape.name for shape in context.shapes], labels, strict=True))
        modules = {name: context.candidates.trained(name, operator) for name, (operator, _, _) in chosen.items()}
        bits = {name: Bits(weight=weight or 8, activation=act or 8) for name, (_, weight, act) in chosen.items()}
        images = context.splits.train.take(slice(0, _IMAGES))[0]
        policy = Policy(fixed=context.fixed_bits, blocks=bits, scheme=context.card.quantization.scheme)
        network = quantize(assemble(context.teacher, modules), rows(images, slice(0, 2)), policy)
        for name, (operator, weight, _) in chosen.items():
            refined = refined_weights(context, name, operator)
            if weight in refined:
                take_refined(network, refined[weight], block=name)
        network.calibrate([images])
        return network


def _read(content: dict[str, Any] | None) -> list[Footprint]:
    """The accounts of a file; none of a damaged one."""
    try:
        found = [Footprint(**entry) for entry in (content or {}).get("accounts", ())]
        return found if all(np.isfinite([*asdict(each).values()]).all() for each in found) else []
    except TypeError:
        return []


_NOTHING = Footprint(milliseconds=0.0, flash_bytes=0, file_bytes=0, outside=0)


def _is_idle(network: QuantizedNetwork) -> bool:
    """True of a block that does nothing."""
    return len(network.quantizers) < 2 and not any(n.op == "call_function" for n in network.graph.graph.nodes)


def _with_columns(
    context: RunContext,
    tables: Tables,
    settings: CompiledCard,
    genomes: Int[np.ndarray, "n blocks"],
    *,
    name: str,
    jobs: int,
) -> Tables:
    """Tables with the columns of one compiler."""
    account = Account(context, name)
    items = [item for block in tables.blocks for item in _grouped(block)]
    networks = [
        ("", tuple(block.labels[value] for block, value in zip(tables.blocks, genome, strict=True)))
        for genome in genomes.tolist()
    ]
    label = f"blocks and networks compiled by {name}"
    found = in_jobs(account, [*items, *networks], context=context, jobs=jobs, label=label)
    of_blocks = {
        (block, label): footprint
        for (block, labels), footprints in zip(items, found, strict=False)
        for label, footprint in zip(labels, footprints, strict=True)
    }
    whole = [footprints[0] for footprints in found[len(items) :]]
    measured = {"latency_ms": [each.milliseconds for each in whole], "flash_bytes": [each.file_bytes for each in whole]}
    for kind in kinds_of(name):
        plain = [
            np.array([_number(of_blocks[block.name, shared[label]], kind) for label in block.labels])
            for block in tables.blocks
            for shared in [compiled_bits(block)]
        ]
        parts = np.stack([values[genomes[:, index]] for index, values in enumerate(plain)], axis=1)
        fit, details = _calibrated(parts, np.array(measured[kind], dtype=float), settings)
        details |= {"operators_on_the_processor": [each.outside for each in whole]}
        tables = tables.with_column(
            f"{kind}@{name}",
            [factor * values for factor, values in zip(fit.factors, plain, strict=True)],
            fixed=fit.fixed,
            source=_source(account.compiler, kind, fit),
            details=details,
        )
    return tables


def _grouped(block: Block) -> list[tuple[str, tuple[Label, ...]]]:
    """The choices of a block that are compiled, those of one operator together."""
    groups: dict[str, dict[Label, None]] = {}
    for label in compiled_bits(block).values():
        groups.setdefault(label[0], {})[label] = None
    return [(block.name, tuple(labels)) for labels in groups.values()]


def _number(footprint: Footprint, kind: str) -> float:
    return footprint.milliseconds if kind == "latency_ms" else float(footprint.flash_bytes)


def _calibrated(
    parts: Float[np.ndarray, "n blocks"], measured: Float[np.ndarray, " n"], settings: CompiledCard
) -> tuple[Calibration, dict[str, Any]]:
    """The fit from blocks to whole networks, and how well it holds."""
    fitted = max(LEAST_AFFINE, min(settings.networks, len(measured)))
    found = calibrate(parts[:fitted], measured[:fitted])
    details: dict[str, Any] = {
        "model": found.model,
        "factors": found.factors.tolist(),
        "networks": found.left_out.networks,
        "left_out_error": found.left_out.error,
        "left_out_kendall_tau": number_or_none(found.left_out.kendall_tau),
    }
    if len(measured) > fitted:
        details |= agreements(found, parts[fitted:], measured[fitted:], None)
    return found, details


def _source(compiler: CompilingRuntime, kind: str, fit: Calibration) -> str:
    versions = ", ".join(" ".join(pair) for pair in compiler.versions().items())
    what = {"latency_ms": "estimate of one image, operators of the device alone", "flash_bytes": "bytes of its file"}
    return (
        f"compiled for {compiler.title} ({versions}): {what[kind]}; blocks compiled alone, calibrated on "
        f"{fit.left_out.networks} whole networks ({fit.model})"
    )
