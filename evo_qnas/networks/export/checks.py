"""Checks that every exported file passes through, whatever its runtime, and how they are shown."""

import gzip
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas.data.nests import rows
from evo_qnas.networks.capture.graph import CONVOLUTIONS
from evo_qnas.networks.export.common.latency import Latency, Timing
from evo_qnas.networks.export.common.parity import Parity, arrays_of, compare, sample_inputs
from evo_qnas.networks.export.common.walk import Walk, has_islands, of_batch, walk
from evo_qnas.networks.export.findings import CheckSettings, Kernels, Tolerance
from evo_qnas.networks.export.runtime import Runtime
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.tasks.base import Task, metric_value
from evo_qnas.summary import Metric


def check_file(runtime: Runtime, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> dict[str, Any]:
    """Findings about a file of any runtime that can run it: what `Runtime.check` gives, before `failures`.

    It holds `metric`, `max_abs_diff`, `agreement` (against torch in integers on the images), `torch_metric`,
    `convolutions` and `integer_convolutions`, `packed_bytes` (`size_bytes` of the network), `file_bytes`,
    `compressed_bytes` (gzip, level 9), `latency_ms` and `latency_spread_ms` (one image, one thread, None where not
    measured), `floats` (`Walk.as_entry` of a network with operations in floats, whose codes the runtime can tell).
    """
    parity = compare(network, partial(runtime.run, runtime.open(path)), settings.images, task=settings.task)
    steps = walk_of(runtime, network, path, settings)
    time = runtime.measure({"": path}, Timing(seed=settings.seed))[""] if settings.latency else None
    used = runtime.kernels(path)
    return entry_of(network, path.read_bytes(), parity=parity, used=used, time=time, steps=steps)


def entry_of(
    network: QuantizedNetwork,
    content: bytes,
    *,
    parity: Parity,
    used: Kernels,
    time: Latency | None,
    steps: Walk | None = None,
) -> dict[str, Any]:
    """The entry of `check_file` from what was found.

    Args:
        network: that the file holds.
        content: of the file.
        parity: with torch in integers.
        used: kernels of the file.
        time: of one image, None where not measured.
        steps: of the walk through the file, None where there was none.
    """
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
        "floats": None if steps is None else steps.as_entry(),
    }


def walk_of(runtime: Runtime, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> Walk | None:
    """The walk through a file on images and on random inputs in their range.

    None where the file must give the reference's outputs, as no operation is computed in floats and no kernel of the
    runtime rounds in its own way, or where the runtime tells no codes.
    """
    inputs = sample_inputs(settings.images, np.random.default_rng(settings.seed))
    if not runtime.tolerance.steps and not has_islands(network, rows(inputs, slice(0, 1))):
        return None
    inputs = of_batch(network, inputs)
    codes = runtime.codes(network, path, arrays_of(network.graph, inputs))
    return None if codes is None else walk(network, codes, inputs, steps=runtime.tolerance.steps)


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
    sentences, floats = _of_outputs(network, entry, tolerance, task), entry.get("floats")
    if floats is not None and (sentences or floats["float_operations"]):
        sentences = _of_codes(entry)
    in_floats = entry["convolutions"] - entry["integer_convolutions"] - _computed_weights(network)
    if in_floats > 0:
        sentences.append(f"{in_floats} of {entry['convolutions']} convolutions run in float")
    return sentences


def _computed_weights(network: QuantizedNetwork) -> int:
    """Number of convolutions whose weights the network computes, so that they have no integers."""
    nodes = [node for node in network.graph.graph.nodes if node.op == "call_function"]
    return sum(node.target in CONVOLUTIONS for node in nodes)


def _of_outputs(network: QuantizedNetwork, entry: Mapping[str, Any], tolerance: Tolerance, task: Task) -> list[str]:
    """Sentences about agreement and metric."""
    sentences = []
    eight = all(quantizer.bits == 8 for quantizer in network.quantizers)
    least = tolerance.agreement if eight else tolerance.agreement_few_bits
    if entry["agreement"] < least:
        sentences.append(f"agreement with torch is {entry['agreement']:.4f}, below {least}")
    measured, reference, share = entry["metric"], entry["torch_metric"], metric_value(task).is_share
    if abs(measured - reference) > tolerance.metric * (1.0 if share else abs(reference)):
        digits = ".4f" if share else ".6g"
        sentences.append(f"the metric is {measured:{digits}}, in torch {reference:{digits}}")
    return sentences


def _of_codes(entry: Mapping[str, Any]) -> list[str]:
    """Sentences about codes: a rounding that falls the other way reaches all later ones.

    Outputs then drift apart although every step of the file is right, so that each step is judged alone.
    """
    return [
        f"the codes of {name} are up to {most} steps from what the reference computes from the codes before them"
        for name, most in entry["floats"]["differing"].items()
    ]


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
    floats = entry.get("floats")
    if floats is not None and floats["float_operations"]:
        share = f"{floats['float_operations']:.0%} of operations, {floats['float_macs']:.0%} of multiplications"
        rows.append(("computed in floats", f"{share}, {floats['one_off']:.2%} of the codes behind them a step off"))
    if entry["latency_ms"] is not None:
        rows.append(("latency, 1 image, 1 thread", f"{entry['latency_ms']:.4f} +- {entry['latency_spread_ms']:.4f} ms"))
    return rows + runtime.details(entry, metric)
