"""Export of one network to any runtime: its packages, its file, its checks."""

from pathlib import Path
from typing import Any

from evo_qnas.data import Examples
from evo_qnas.networks.export.runtime import CheckSettings, Runtime, find_runtime
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.tasks.base import Task


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

    Raises:
        NetworkError: there is no such runtime, a package of it is missing, the network is not calibrated, or an
            operation has no translation.
    """
    if not isinstance(runtime, Runtime):
        runtime = find_runtime(path, runtime)
    runtime.require(f"export to {runtime.title}")
    runtime.write(network, path, upsample=upsample)
    settings = CheckSettings(images=images, task=task, seed=seed, latency=latency)
    return runtime.check(network, path, settings)
