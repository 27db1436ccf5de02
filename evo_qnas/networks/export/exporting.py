"""Export of one network to any runtime: its packages, its file, its checks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas.data import Examples
from evo_qnas.networks.bundle import Facts
from evo_qnas.networks.export.facts import check_raw, entries_of, normalised
from evo_qnas.networks.export.findings import CheckSettings
from evo_qnas.networks.export.runtime import Runtime, find_runtime
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.tasks.base import Task

# Random images of the comparison of a file before and after it takes raw pixels.
_RAW_IMAGES = 4


def export(
    network: QuantizedNetwork,
    path: Path,
    runtime: Runtime | str | None = None,
    *,
    images: Examples,
    task: Task,
    upsample: bool = False,
    seed: int = 0,
    latency: bool = True,
    facts: Facts | None = None,
    raw_inputs: bool = False,
) -> dict[str, Any]:
    """The network's entry in `summary.json`, after its file was written and checked.

    The entry is that of the runtime's `check`: what `check_file` finds, what the runtime adds, and `failures`, one
    sentence for each check that was not met.

    Args:
        network: calibrated or restored.
        path: file to write.
        runtime: or its name; None for the one that owns the ending of `path`.
        images: labelled images to compare on.
        task: gives metric and agreement.
        upsample: keep the up-sampling of logits at the end of the network.
        seed: draws random inputs and the order of latency runs.
        latency: measure latency.
        facts: class names and preprocessing, which the file carries.
        raw_inputs: the file takes raw pixels, uint8 (n, h, w, c), and holds the preprocessing as its first operations,
            which are added after the checks.

    Raises:
        NetworkError: there is no such runtime, a package of it is missing, the network is not calibrated, an
            operation has no translation, or raw inputs are asked for and cannot be had.
    """
    known = facts or Facts()
    if raw_inputs:
        check_raw(images.sample, known.preprocessing)
    if not isinstance(runtime, Runtime):
        runtime = find_runtime(path, runtime)
    runtime.require(f"export to {runtime.title}")
    runtime.write(network, path, upsample=upsample)
    if entries_of(known):
        runtime.describe(path, known)
    settings = CheckSettings(images=images, task=task, seed=seed, latency=latency)
    entry = runtime.check(network, path, settings)
    runtime.accompany(path, entry)
    if raw_inputs and known.preprocessing is not None:
        entry["failures"] += _with_raw_inputs(runtime, path, known.preprocessing, images, seed)
    return entry


def _with_raw_inputs(
    runtime: Runtime, path: Path, preprocessing: Mapping[str, Any], images: Examples, seed: int
) -> list[str]:
    """A sentence where a file that takes raw pixels gives something else than before; the file is changed."""
    shape = images.sample.shape[1:]
    pixels = np.random.default_rng(seed).integers(0, 256, (_RAW_IMAGES, *shape[1:], *shape[:1]), dtype=np.uint8)
    before = runtime.run(runtime.open(path), normalised(pixels, preprocessing))
    runtime.take_raw(path, preprocessing)
    after = runtime.run(runtime.open(path), pixels)
    one, other = (value if isinstance(value, Mapping) else {"": value} for value in (before, after))
    same = all(np.array_equal(one[name], other[name]) for name in one)
    return [] if same else ["raw pixels give other outputs than the same pixels after preprocessing"]
