"""Exporting one network to TFLite: the file, its checks, and what they found."""

import gzip
from functools import partial
from pathlib import Path
from typing import Any

from evo_qnas.data import Images
from evo_qnas.files import write_bytes
from evo_qnas.networks.export.common.packages import missing_of, require
from evo_qnas.networks.export.common.parity import InRuntime, Metric, agreement_of
from evo_qnas.networks.export.onnx.runtime import Kernels
from evo_qnas.networks.export.tflite.runtime import kernels, measure, open_interpreter, run
from evo_qnas.networks.export.tflite.translate import to_tflite
from evo_qnas.networks.integer.reference import in_integers
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.tasks.classification import accuracy

PACKAGES = ("ai-edge-litert",)
# The runtime rounds sums, means and new steps in its own way, by up to one step of a code; see `export_tflite`.
AGREEMENT, METRIC_TOLERANCE = 0.98, 0.005
_ROUNDS = 60


def missing_packages() -> tuple[str, ...]:
    """The packages of the extra `tflite` that are not installed."""
    return missing_of(PACKAGES)


def require_packages(who: str) -> None:
    """Refuses to go on without the packages of the extra `tflite`.

    Raises:
        NetworkError: one is not installed.
    """
    require(who, PACKAGES, extra="tflite")


def export_tflite(
    network: QuantizedNetwork,
    path: Path,
    *,
    images: Images,
    metric: Metric = accuracy,
    upsample: bool = False,
    seed: int = 0,
    latency: bool = True,
) -> dict[str, Any]:
    """Writes a TFLite file and checks it against torch in integers (`in_integers`) on images.

    TFLite's kernels round additions, means and changes of a step in fixed point, each build in its own way, so the file
    gives other codes than ONNX Runtime by a step or two: the same answers, not the same bits.

    What is given holds `metric`, `torch_metric`, `max_abs_diff`, `argmax_agreement`, `plain_kernels` (metric and
    agreement without XNNPACK, as a device without it computes), `convolutions`, `integer_convolutions`,
    `packed_bytes` (`size_bytes` of the network), `file_bytes`, `compressed_bytes` (gzip, level 9), `latency_ms` and
    `latency_spread_ms` (one image, one thread, None where not measured), and `failures`: one sentence for each check
    that was not met.

    Args:
        network: calibrated or restored.
        path: file to write.
        images: labelled images to compare on.
        metric: of a network on images.
        upsample: keep the up-sampling of logits at the end of the network.
        seed: draws the image whose latency is measured.
        latency: measure latency.

    Raises:
        NetworkError: a package is missing, the network is not calibrated, or an operation has no translation.
    """
    require_packages("TFLite export")
    content = to_tflite(network, upsample=upsample)
    write_bytes(path, content)
    mine = in_integers(network, images.take(slice(0, 1))[0])
    found = [InRuntime(partial(run, open_interpreter(path, delegate=delegate)), network) for delegate in (True, False)]
    (agreement, difference), (plain, _) = (agreement_of(mine, theirs, images) for theirs in found)
    time = measure(path, rounds=_ROUNDS, seed=seed) if latency else None
    used = kernels(content)
    entry: dict[str, Any] = {
        "metric": metric(found[0], images),
        "torch_metric": metric(mine, images),
        "max_abs_diff": difference,
        "argmax_agreement": agreement,
        "plain_kernels": {"metric": metric(found[1], images), "argmax_agreement": plain},
        "convolutions": used.convolutions,
        "integer_convolutions": used.integer_convolutions,
        "packed_bytes": costs_of(network.layers, network.quantizers, 8).size_bytes,
        "file_bytes": len(content),
        "compressed_bytes": len(gzip.compress(content, compresslevel=9, mtime=0)),
        "latency_ms": None if time is None else time.milliseconds,
        "latency_spread_ms": None if time is None else time.spread,
    }
    return {**entry, "failures": failures(entry, used)}


def failures(entry: dict[str, Any], used: Kernels) -> list[str]:
    """One sentence for each check that an exported network does not meet."""
    found = []
    if entry["argmax_agreement"] < AGREEMENT:
        found.append(f"argmax agreement with torch is {entry['argmax_agreement']:.4f}, below {AGREEMENT}")
    if abs(entry["metric"] - entry["torch_metric"]) > METRIC_TOLERANCE:
        found.append(f"the metric is {entry['metric']:.4f}, in torch {entry['torch_metric']:.4f}")
    if used.integer_convolutions < used.convolutions:
        found.append(
            f"{used.convolutions - used.integer_convolutions} of {used.convolutions} convolutions run in float"
        )
    return found
