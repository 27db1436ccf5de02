"""Checks that every exported file passes through, whatever its runtime, and how they are shown."""

import gzip
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from evo_qnas.networks.export.common.latency import Timing
from evo_qnas.networks.export.common.parity import compare
from evo_qnas.networks.export.runtime import CheckSettings, Runtime, Tolerance
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.tasks.base import Task, metric_value
from evo_qnas.summary import Metric


def check_file(runtime: Runtime, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> dict[str, Any]:
    """Findings about a file of any runtime that can run it: what `Runtime.check` gives, before `failures`.

    It holds `metric`, `max_abs_diff`, `agreement` (against torch in integers on the images), `torch_metric`,
    `convolutions` and `integer_convolutions`, `packed_bytes` (`size_bytes` of the network), `file_bytes`,
    `compressed_bytes` (gzip, level 9), `latency_ms` and `latency_spread_ms` (one image, one thread, None where not
    measured).
    """
    parity = compare(network, partial(runtime.run, runtime.open(path)), settings.images, task=settings.task)
    content, used = path.read_bytes(), runtime.kernels(path)
    time = runtime.measure({"": path}, Timing(seed=settings.seed))[""] if settings.latency else None
    return {
        "metric": parity.metric,
        "max_abs_diff": parity.max_abs_diff,
        "agreement": parity.agreement,
        "file_bytes": len(content),
        "latency_ms": None if time is None else time.milliseconds,
        "latency_spread_ms": None if time is None else time.spread,
        "torch_metric": parity.torch_metric,
        "convolutions": used.convolutions,
        "integer_convolutions": used.integer_convolutions,
        "packed_bytes": stored_bytes(network),
        "compressed_bytes": compressed_bytes(content),
    }


def stored_bytes(network: QuantizedNetwork) -> int:
    """`size_bytes` of a network, as the tables count it."""
    # Bits of activations count for bit operations alone, which are not asked for.
    return costs_of(network, 8).size_bytes


def compressed_bytes(content: bytes) -> int:
    """Bytes after gzip at its highest level, the same at any time."""
    return len(gzip.compress(content, compresslevel=9, mtime=0))


def failures(network: QuantizedNetwork, entry: Mapping[str, Any], tolerance: Tolerance, *, task: Task) -> list[str]:
    """One sentence for each check of `check_file` that is not met.

    Args:
        network: that the file holds.
        entry: of `check_file`.
        tolerance: of the runtime.
        task: of the network.
    """
    sentences = []
    eight = all(quantizer.bits == 8 for quantizer in network.quantizers)
    least = tolerance.agreement if eight else tolerance.agreement_few_bits
    if entry["agreement"] < least:
        sentences.append(f"agreement with torch is {entry['agreement']:.4f}, below {least}")
    measured, reference, share = entry["metric"], entry["torch_metric"], metric_value(task).is_share
    if abs(measured - reference) > tolerance.metric * (1.0 if share else abs(reference)):
        digits = ".4f" if share else ".6g"
        sentences.append(f"the metric is {measured:{digits}}, in torch {reference:{digits}}")
    in_floats = entry["convolutions"] - entry["integer_convolutions"]
    if in_floats > 0:
        sentences.append(f"{in_floats} of {entry['convolutions']} convolutions run in float")
    return sentences


def rows_of(runtime: Runtime, entry: Mapping[str, Any], metric: Metric) -> list[tuple[str, str]]:
    """The entry of an export as rows of name and text.

    Args:
        runtime: that wrote and checked the file.
        entry: of its `check`.
        metric: of the task.
    """
    measured = (entry["metric"], entry["torch_metric"])
    rows = [
        (f"{metric.name}, {runtime.title} and torch", ", ".join(map(metric.format, measured))),
        ("agreement with torch", f"{entry['agreement']:.2%}"),
        ("largest difference of logits", f"{entry['max_abs_diff']:.3g}"),
        ("convolutions in integer kernels", f"{entry['integer_convolutions']} of {entry['convolutions']}"),
        ("packed tensors (size_bytes)", f"{entry['packed_bytes']:,} B"),
        ("file, compressed with gzip", f"{entry['file_bytes']:,} B, {entry['compressed_bytes']:,} B"),
    ]
    if entry["latency_ms"] is not None:
        rows.append(("latency, 1 image, 1 thread", f"{entry['latency_ms']:.4f} +- {entry['latency_spread_ms']:.4f} ms"))
    return rows + runtime.details(entry, metric)
