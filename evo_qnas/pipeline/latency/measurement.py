"""Latency tables: blocks and whole networks timed in a runtime, and the columns that tables get from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.data.nests import leaves
from evo_qnas.errors import CardError
from evo_qnas.files import write_text
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.export import Latency, Timing, block_runtime
from evo_qnas.networks.export.common.latency import processor
from evo_qnas.pipeline.cards.latency import LatencyCard
from evo_qnas.pipeline.context import RunContext, digest, read_json, seed_of, to_json
from evo_qnas.pipeline.jobs import in_jobs
from evo_qnas.pipeline.latency.calibration import agreements, number_or_none, random_genomes
from evo_qnas.pipeline.latency.counted import with_costs
from evo_qnas.pipeline.latency.precision import FP32, INT8, Precision
from evo_qnas.pipeline.latency.units import Unit, UnitFile, check_units, grouped, network_unit, timed_bits
from evo_qnas.progress import progress_bar
from evo_qnas.tables import Tables
from evo_qnas.tables.calibration import LEAST_AFFINE, Calibration, calibrate

START = "start"


def measure_tables(
    context: RunContext, tables: Tables, settings: LatencyCard, *, jobs: int, output: Path | None = None
) -> Tables:
    """Tables with the column `latency_ms`, measured here and calibrated on whole networks.

    Everything lies in `latency/`: the files measured, the rounds done (a kill loses at most one), and a stamp.

    Args:
        context: a run with trained blocks.
        tables: its tables.
        settings: `[latency]` of a card.
        jobs: processes that write the files; the measuring itself is done by one.
        output: where to write the tables; None for `tables.h5` of the run.

    Raises:
        NetworkError: a package is missing, or an operation cannot be exported.
        CardError: there are fewer networks than calibrate.
    """
    block_runtime(settings.runtime).require("measuring latency tables")
    path = output or context.paths.tables
    stamp = context.paths.latency / "latency.json"
    fingerprint = digest("latency", context.fingerprints.tables, settings.model_dump(mode="json"), str(path))
    precisions = (INT8, FP32) if settings.float32 else (INT8,)
    if read_json(stamp, fingerprint) is not None and path.is_file():
        made = Tables.load(path)
        if all(each.column in made.columns for each in precisions) and "peak_memory_bytes" in made.columns:
            return made
    session = Measurement(context=context, tables=tables, settings=settings)
    if len(session.genomes()) < LEAST_AFFINE:
        raise CardError(
            f"latency is calibrated on at least {LEAST_AFFINE} networks, and the candidates make "
            f"{len(session.genomes())}: add operators or bit-widths, or leave [latency] out"
        )
    times = session.measure(precisions, jobs=jobs)
    for precision in precisions:
        tables = session.column(tables, precision, times)
    tables = session.costs(tables)
    tables.save(path)
    write_text(stamp, to_json({"fingerprint": fingerprint, "columns": [each.column for each in precisions]}))
    # From the file, so that a first run and a resumed one see the very same tables.
    return Tables.load(path)


@final
@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measurement of a run's tables."""

    context: RunContext
    tables: Tables
    settings: LatencyCard

    def genomes(self) -> Int[np.ndarray, "n blocks"]:
        """The networks that calibrate, then those held out; the INT8 teacher is the first of all.

        Where there are fewer networks than the card asks for, fewer are held out.
        """
        rng = np.random.default_rng(seed_of("latency networks", self.context.card.seed))
        drawn = random_genomes(self.tables, self.settings.networks + self.settings.held_out, rng)
        whole = self.tables.baselines.get("teacher_int8")
        if whole is not None:
            others = drawn[(drawn != np.array(whole)).any(axis=1)]
            drawn = np.concatenate([[whole], others])[: len(drawn)]
        return drawn

    def units(self, precision: Precision) -> dict[str, Unit]:
        """Everything to measure in one precision."""
        found = [Unit(precision=precision, fixed=True)] if precision.quantized else []
        for block in self.tables.blocks:
            for (operator, _, _), bits in timed_bits(block).items():
                at = precision.timed_at(bits)
                found.append(Unit(precision=precision, block=block.name, operator=operator, bits=at))
        found += self.bit_checks(precision)
        found += [network_unit(precision, self.tables.blocks, genome) for genome in self.genomes().tolist()]
        return {unit.name: unit for unit in found}

    def bit_checks(self, precision: Precision) -> list[Unit]:
        """The teacher's own version of its largest block at every bit-width of the card, where bits are timed."""
        if not precision.quantized:
            return []
        quantization = self.context.card.quantization
        macs = [values[block.operators.index(TEACHER)] for block, values in self._macs()]
        block = self.tables.blocks[int(np.argmax(macs))]
        return check_units(block, quantization.weight_bits, quantization.activation_bits, TEACHER)

    def _macs(self) -> list[tuple[Any, np.ndarray]]:
        return list(zip(self.tables.blocks, self.tables.column("macs").values, strict=True))

    def measure(self, precisions: Sequence[Precision], *, jobs: int) -> dict[str, Latency]:
        """Latency by the name of the unit, 0 where there is nothing to run."""
        context, settings = self.context, self.settings
        units = {name: unit for each in precisions for name, unit in self.units(each).items()}
        composed = {name: unit for name, unit in units.items() if unit.composed}
        writer = UnitFile(context, settings.runtime)
        groups = grouped(unit for unit in units.values() if not unit.composed)
        written = in_jobs(writer, groups, context=context, jobs=jobs, label="networks and blocks exported")
        files = {
            unit.name: writer.path(unit)
            for group, marks in zip(groups, written, strict=True)
            for unit, there in zip(group, marks, strict=True)
            if there
        }
        files |= {name: writer.compose(unit, self._parts(unit)) for name, unit in composed.items()}
        with progress_bar("latency rounds", settings.rounds) as advance:
            timing = Timing(
                seed=seed_of("latency", context.card.seed) % 2**31,
                rounds=settings.rounds,
                threads=settings.threads,
                record=context.paths.latency / "rounds.jsonl",
                fingerprint=digest("rounds", context.fingerprints.tables, processor(), writer.writer.versions()),
                advance=advance,
            )
            times = writer.writer.measure({START: writer.idle(), **files}, timing)
        nothing = Latency(milliseconds=0.0, spread=0.0, rounds=settings.rounds)
        return {**dict.fromkeys(units, nothing), **times}

    def costs(self, tables: Tables) -> Tables:
        """Tables with what is counted instead of measured: peak memory, models of devices."""
        context, writer = self.context, UnitFile(self.context, self.settings.runtime)
        facts = {
            (block.name, label): writer.facts(
                Unit(precision=INT8, block=block.name, operator=label[0], bits=timed_bits(block)[label])
            )
            for block in tables.blocks
            for label in block.labels
        }
        fixed = writer.facts(Unit(precision=INT8, fixed=True))
        bits = (context.fixed_bits.weight, context.fixed_bits.activation)
        return with_costs(tables, facts, fixed, fixed_bits=bits, devices=self.settings.devices)

    def _parts(self, network: Unit) -> dict[str, Unit]:
        """Per block the unit at whose bits a network's choice is timed."""
        return {
            block.name: Unit(precision=INT8, block=block.name, operator=choice[0], bits=timed_bits(block)[choice])
            for block, choice in zip(self.tables.blocks, network.choices, strict=True)
        }

    def column(self, tables: Tables, precision: Precision, times: Mapping[str, Latency]) -> Tables:
        """Tables with the calibrated column of one precision."""
        start = times[START].milliseconds
        plain = self._per_choice(precision, lambda latency: max(0.0, latency.milliseconds - start), times)
        spread = self._per_choice(precision, lambda latency: latency.spread, times)
        genomes = self.genomes()
        parts = np.stack([values[genomes[:, index]] for index, values in enumerate(plain)], axis=1)
        networks = [network_unit(precision, tables.blocks, genome) for genome in genomes.tolist()]
        measured = np.array([times[network.name].milliseconds for network in networks])
        fitted = self.settings.networks
        found = calibrate(parts[:fitted], measured[:fitted])
        alone = times.get(Unit(precision=precision, fixed=True).name)
        fixed = None if alone is None else alone.milliseconds
        details = self._details(precision, times, found, fixed)
        details |= agreements(found, parts[fitted:], measured[fitted:], fixed)
        return tables.with_column(
            precision.column,
            [factor * values for factor, values in zip(found.factors, plain, strict=True)],
            stderr=[factor * values for factor, values in zip(found.factors, spread, strict=True)],
            fixed=found.fixed,
            unit="ms",
            source=self._source(precision, found, len(measured[:fitted])),
            details=details,
        )

    def _per_choice(
        self, precision: Precision, number: Callable[[Latency], float], times: Mapping[str, Latency]
    ) -> list[Float[np.ndarray, " choices"]]:
        """Per block a number of each choice."""
        found = []
        for block in self.tables.blocks:
            bits = timed_bits(block)
            units = [
                Unit(precision=precision, block=block.name, operator=label[0], bits=precision.timed_at(bits[label]))
                for label in block.labels
            ]
            found.append(np.array([number(times[unit.name]) for unit in units]))
        return found

    def _source(self, precision: Precision, found: Calibration, fitted: int) -> str:
        threads = self.settings.threads
        shape = " and ".join("x".join(map(str, leaf.shape[1:])) for leaf in leaves(self.context.example))
        return (
            f"measured: {self._runtime()}, {precision.label}, "
            f"{threads} thread{'s' if threads > 1 else ''}, {processor()}, one image {shape}, "
            f"{self.settings.rounds} rounds; {precision.shared}; "
            f"calibrated on {fitted} whole networks ({found.model})"
        )

    def _runtime(self) -> str:
        """The runtime and the versions of its packages."""
        runtime = block_runtime(self.settings.runtime)
        return f"{runtime.title} ({', '.join(' '.join(pair) for pair in runtime.versions().items())})"

    def _details(
        self, precision: Precision, times: Mapping[str, Latency], found: Calibration, fixed: float | None
    ) -> dict[str, Any]:
        """Conditions of the measurement, and how well the calibration fits."""
        details: dict[str, Any] = {
            "runtime": self._runtime(),
            "processor": processor(),
            "threads": self.settings.threads,
            "rounds": self.settings.rounds,
            "statistic": "10 % quantile of thread CPU time" if self.settings.threads == 1 else "least wall time",
            "image": [size for leaf in leaves(self.context.example) for size in leaf.shape[1:]],
            "start_ms": times[START].milliseconds,
            "fixed_part_ms": fixed,
            "model": found.model,
            "factors": found.factors.tolist(),
            "networks": found.left_out.networks,
            "left_out_error": found.left_out.error,
            "left_out_kendall_tau": number_or_none(found.left_out.kendall_tau),
        }
        if units := self.bit_checks(precision):
            details["bits_checked"] = f"{units[0].block}, {units[0].operator}"
            details["bits_ms"] = {f"{unit.bits[0]}/{unit.bits[1]}": times[unit.name].milliseconds for unit in units}
        return details


def check_measurable(context: RunContext, output: Path | None) -> None:
    """Refuses to change tables under a search that was made of them.

    Raises:
        CardError: the run's folder holds an archive and no other file was asked for.
    """
    if output is None and (context.paths.archive()).is_file():
        raise CardError(
            f"{context.folder} holds a search over its tables.h5: give -o FILE for the measured tables, "
            "or run a card with a [latency] section in another folder"
        )
