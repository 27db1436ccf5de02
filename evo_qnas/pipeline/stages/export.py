"""Every validated network as a file of a runtime, checked, and timed side by side with the others."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from evo_qnas.errors import EvoQnasError, NetworkError
from evo_qnas.files import write_text
from evo_qnas.networks.export import RUNTIMES, Timing, block_runtime, export
from evo_qnas.networks.export.common.latency import TUNING
from evo_qnas.networks.export.facts import entries_of
from evo_qnas.pipeline.context import RunContext, digest, read_json, seed_of, to_json
from evo_qnas.pipeline.jobs import in_jobs
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage
from evo_qnas.pipeline.stored import StoredNetwork, find_network, restore_network
from evo_qnas.progress import progress_bar
from evo_qnas.summary import ValidatedNetwork

FLOAT = "teacher_float"
RUNTIME = "onnx"  # of the files that a run leaves
FAILED = "failed"  # key of the reason for which a network has no file
_LATENCY = "latency.json"

logger = logging.getLogger(__name__)


@final
class ExportStage(Stage):
    """Leaves `networks/<id>/model.onnx` and its checks, which carry their fingerprints."""

    name = "export"
    about = "validated networks as ONNX files, with checks"

    def fingerprint(self, context: RunContext) -> str:
        """That of the tables and of fine-tuning."""
        return context.fingerprints.finetuned(self.name)

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with exported networks."""
        return state.having(networks=export_networks(context, state.networks, jobs=resources.jobs))


def export_networks(
    context: RunContext, networks: Sequence[ValidatedNetwork], *, jobs: int
) -> tuple[ValidatedNetwork, ...]:
    """The networks with `onnx` and `latency_ms`; leaves `networks/<id>/model.onnx`.

    A network that cannot be written, opened, run or checked has its reason as the only entry of `onnx`, `failed`.

    Both stay None where the packages of the extra `onnx` are not installed. Latency is that of one image and one
    thread, all networks measured in turn in one process, so that they compare; it is the one number of a run that a
    second run of the same card does not give again exactly.
    """
    if RUNTIMES.get(RUNTIME).missing():
        return tuple(networks)
    names = [network.id for network in networks]
    entries = in_jobs(_Export(context), names, context=context, jobs=jobs, label="networks exported", names=names)
    written = [name for name, entry in zip(names, entries, strict=True) if FAILED not in entry]
    times = _latencies(context, written)
    exported = []
    for network, entry in zip(networks, entries, strict=True):
        latency, spread = times.get(network.id, (None, None))
        onnx = entry if FAILED in entry else {**entry, "latency_ms": latency, "latency_spread_ms": spread}
        exported.append(network.having(onnx=onnx, latency_ms=latency))
    return tuple(exported)


def float_latency(context: RunContext) -> float | None:
    """Milliseconds of the float teacher, timed beside the networks; None where it was not."""
    try:
        known = json.loads((context.paths.networks / _LATENCY).read_text(encoding="utf-8"))["ms"][FLOAT][0]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return float(known) if type(known) in (int, float) and math.isfinite(known) else None


def _float_teacher(context: RunContext) -> Path | None:
    """The float teacher as ONNX, for its latency; None where an operation of a foreign teacher has no translation."""
    path = context.paths.networks / f"{FLOAT}.onnx"
    try:
        block_runtime(RUNTIME).write_float(context.teacher, context.example, path)
    except NetworkError:
        return None
    return path


@dataclass(frozen=True)
class _Export:
    """Exports and checks one network; kept in `networks/<id>/onnx.json`."""

    context: RunContext

    def __call__(self, identity: str) -> dict[str, Any]:
        folder = self.context.paths.network(identity)
        stored = find_network(self.context, identity)
        carried = entries_of(self.context.facts)
        fingerprint = digest(RUNTIME, stored.fingerprint, RUNTIMES.get(RUNTIME).versions(), carried)
        known = read_json(folder / "onnx.json", fingerprint)
        if known is not None and (FAILED in known["onnx"] or (folder / "model.onnx").is_file()):
            return dict(known["onnx"])
        try:
            onnx = self._export(stored, folder / "model.onnx")
        except OSError:
            raise  # a full disk says nothing about the network
        except Exception as error:  # files go through libraries of others, which raise what they like
            (folder / "model.onnx").unlink(missing_ok=True)
            onnx = {FAILED: _words(error)}
            logger.warning("network %s has no ONNX file: %s", identity, onnx[FAILED])
        write_text(folder / "onnx.json", to_json({"fingerprint": fingerprint, "onnx": onnx}))
        return onnx

    def _export(self, stored: StoredNetwork, path: Path) -> dict[str, Any]:
        """The entry of a network after its file was written and checked."""
        return export(
            restore_network(self.context, stored),
            path,
            RUNTIME,
            images=self.context.splits.test,
            task=self.context.task,
            seed=seed_of("export", self.context.card.seed) % 2**31,
            latency=False,
            facts=self.context.facts,
        )


def _words(error: Exception) -> str:
    """The first line of an error; its kind before it where it is none of ours."""
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, EvoQnasError) else f"{type(error).__name__}: {text}"


def _latencies(context: RunContext, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Milliseconds and spread of each network and of the float teacher, kept in `networks/latency.json`."""
    paths = {name: context.paths.network(name) / "model.onnx" for name in names}
    stamp = context.paths.networks / _LATENCY
    fingerprint = digest("latency", {name: path.stat().st_mtime_ns for name, path in paths.items()})
    known = read_json(stamp, fingerprint)
    if known is None:
        teacher = _float_teacher(context)
        timed = paths if teacher is None else {**paths, FLOAT: teacher}
        try:
            with progress_bar("latency rounds", TUNING.rounds) as advance:
                timing = Timing(seed=seed_of("latency", context.card.seed), advance=advance)
                times = RUNTIMES.get(RUNTIME).measure(timed, timing)
        except NetworkError as error:
            logger.warning("the networks are not timed: %s", error)
            return {}
        known = {"fingerprint": fingerprint, "ms": {name: [t.milliseconds, t.spread] for name, t in times.items()}}
        write_text(stamp, to_json(known))
    return {name: (float(values[0]), float(values[1])) for name, values in known["ms"].items()}
