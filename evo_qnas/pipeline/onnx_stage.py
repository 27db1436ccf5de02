"""The export stage: every validated network as an ONNX file, checked, and timed side by side with the others."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evo_qnas.errors import NetworkError
from evo_qnas.files import write_bytes, write_text
from evo_qnas.networks.export import RUNTIMES, Timing, export
from evo_qnas.networks.export.common.latency import TUNING
from evo_qnas.networks.export.onnx.float_model import float_to_onnx
from evo_qnas.pipeline.exporting import stored_network
from evo_qnas.pipeline.stages import in_jobs
from evo_qnas.pipeline.workplace import Workplace, digest, read_json, seed_of, to_json
from evo_qnas.progress import progress_bar

FLOAT = "teacher_float"
_LATENCY = "latency.json"


def export_networks(place: Workplace, entries: Sequence[dict[str, Any]], *, jobs: int) -> None:
    """Fills in `onnx` and `latency_ms` of the entries of `summary.json`; leaves `networks/<id>/model.onnx`.

    Both stay None where the packages of the extra `onnx` are not installed. Latency is that of one image and one
    thread, all networks measured in turn in one process, so that they compare; it is the one number of a run that a
    second run of the same card does not give again exactly.
    """
    if RUNTIMES.get("onnx").missing():
        return
    names = [str(entry["id"]) for entry in entries]
    found = in_jobs(_Export(place), names, place=place, jobs=jobs, label="networks exported", names=names)
    times = _latencies(place, names)
    for entry, onnx in zip(entries, found, strict=True):
        latency, spread = times[str(entry["id"])]
        entry["onnx"] = {**onnx, "latency_ms": latency, "latency_spread_ms": spread}
        entry["latency_ms"] = latency


def float_latency(place: Workplace) -> float | None:
    """Milliseconds of the float teacher, timed beside the networks; None where it was not."""
    try:
        known = json.loads((place.folder / "networks" / _LATENCY).read_text(encoding="utf-8"))["ms"].get(FLOAT)
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return None if known is None else float(known[0])


def _float_teacher(place: Workplace) -> Path | None:
    """The float teacher as ONNX, for its latency; None where an operation of a foreign teacher has no translation."""
    path = place.folder / "networks" / f"{FLOAT}.onnx"
    try:
        model = float_to_onnx(place.teacher, place.example)
    except NetworkError:
        return None
    write_bytes(path, model.SerializeToString(deterministic=True))
    return path


@dataclass(frozen=True)
class _Export:
    """Exports and checks one network; kept in `networks/<id>/onnx.json`."""

    place: Workplace

    def __call__(self, identity: str) -> dict[str, Any]:
        folder = self.place.folder / "networks" / identity
        _, network, stored = stored_network(self.place.folder, identity)
        fingerprint = digest("onnx", stored["fingerprint"], version("onnx"), version("onnxruntime"))
        known = read_json(folder / "onnx.json", fingerprint)
        if known is not None and (folder / "model.onnx").is_file():
            return dict(known["onnx"])
        onnx = export(
            network,
            folder / "model.onnx",
            "onnx",
            images=self.place.splits.test,
            metric=self.place.task.metric,
            seed=seed_of("export", self.place.card.seed) % 2**31,
            latency=False,
        )
        write_text(folder / "onnx.json", to_json({"fingerprint": fingerprint, "onnx": onnx}))
        return onnx


def _latencies(place: Workplace, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Milliseconds and spread of each network and of the float teacher, kept in `networks/latency.json`."""
    paths = {name: place.folder / "networks" / name / "model.onnx" for name in names}
    stamp = place.folder / "networks" / _LATENCY
    fingerprint = digest("latency", {name: path.stat().st_mtime_ns for name, path in paths.items()})
    known = read_json(stamp, fingerprint)
    if known is None:
        teacher = _float_teacher(place)
        timed = paths if teacher is None else {**paths, FLOAT: teacher}
        with progress_bar("latency rounds", TUNING.rounds) as advance:
            timing = Timing(seed=seed_of("latency", place.card.seed), advance=advance)
            times = RUNTIMES.get("onnx").measure(timed, timing)
        known = {"fingerprint": fingerprint, "ms": {name: [t.milliseconds, t.spread] for name, t in times.items()}}
        write_text(stamp, to_json(known))
    return {name: (float(values[0]), float(values[1])) for name, values in known["ms"].items()}
