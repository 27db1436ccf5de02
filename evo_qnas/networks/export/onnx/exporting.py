"""Exporting one network: the file, its checks, and its entry in `summary.json`."""

from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas.data import Images
from evo_qnas.files import write_bytes
from evo_qnas.networks.export.common.latency import measure_latency
from evo_qnas.networks.export.common.packages import missing_of, require
from evo_qnas.networks.export.common.parity import Metric, Parity, compare, equals_reference, same_in_both
from evo_qnas.networks.export.onnx.runtime import Kernels, kernels
from evo_qnas.networks.export.onnx.sizes import FileSizes, file_sizes
from evo_qnas.networks.export.onnx.translate import to_onnx
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.tasks.classification import accuracy

PACKAGES = ("onnx", "onnxruntime")
# Below 8 bits one step of a code is larger, so a tie rounded the other way moves a logit further.
AGREEMENT_8_BIT, AGREEMENT_FEWER_BITS = 0.999, 0.998
METRIC_TOLERANCE = 0.002


def missing_packages() -> tuple[str, ...]:
    """The packages of the extra `onnx` that are not installed."""
    return missing_of(PACKAGES)


def require_packages(who: str) -> None:
    """Refuses to go on without the packages of the extra `onnx`.

    Raises:
        NetworkError: one is not installed.
    """
    require(who, PACKAGES, extra="onnx")


def export_network(
    network: QuantizedNetwork,
    path: Path,
    *,
    images: Images,
    metric: Metric = accuracy,
    upsample: bool = False,
    seed: int = 0,
    latency: bool = True,
) -> dict[str, Any]:
    """Writes an ONNX file and checks it; gives the network's `onnx` entry of `summary.json`.

    The entry holds `metric`, `max_abs_diff`, `argmax_agreement` (against torch in integers on the images),
    `file_bytes`, `latency_ms` (one image, one thread, None where not measured), and beside them `torch_metric`,
    `float_agreement` (of the arg max with the float network that is trained, see `Parity`),
    `default_session` (metric and agreement as a session without `session.x64quantprecision` gives them here),
    `reference_equal` (bit for bit on random inputs, None where the reference lacks an operation),
    `convolutions` and `integer_convolutions` (of the optimised graph), `packed_bytes`, `constant_bytes`, `graph_bytes`,
    `compressed_bytes` (gzip, level 9), `logits` (classes and map size that the file gives), `latency_spread_ms`, and
    `failures`: one sentence for each check that was not met.

    Args:
        network: calibrated or restored.
        path: file to write.
        images: labelled images to compare on.
        metric: of a network on images.
        upsample: keep the up-sampling of logits at the end of the network, see `to_onnx`.
        seed: draws random inputs and the order of latency runs.
        latency: measure latency.

    Raises:
        NetworkError: a package is missing, the network is not calibrated, or an operation has no translation.
    """
    require_packages("ONNX export")
    rng = np.random.default_rng(seed)
    model = to_onnx(network, upsample=upsample)
    write_bytes(path, model.SerializeToString(deterministic=True))
    parity = plain = compare(network, path, images, metric=metric)
    if not same_in_both(path, images):
        plain = compare(network, path, images, metric=metric, exact=False)
    used, sizes = kernels(path), file_sizes(path)
    reference = equals_reference(network, path, images, rng)
    time = measure_latency({"": path}, seed=seed)[""] if latency else None
    return {
        "metric": parity.metric,
        "max_abs_diff": parity.max_abs_diff,
        "argmax_agreement": parity.argmax_agreement,
        "file_bytes": sizes.file,
        "latency_ms": None if time is None else time.milliseconds,
        "latency_spread_ms": None if time is None else time.spread,
        "torch_metric": parity.torch_metric,
        "float_agreement": parity.float_agreement,
        "default_session": {"metric": plain.metric, "argmax_agreement": plain.argmax_agreement},
        "reference_equal": reference,
        "convolutions": used.convolutions,
        "integer_convolutions": used.integer_convolutions,
        "packed_bytes": sizes.packed,
        "constant_bytes": sizes.constants,
        "graph_bytes": sizes.graph,
        "compressed_bytes": sizes.compressed,
        "logits": [size.dim_value for size in model.graph.output[0].type.tensor_type.shape.dim[1:]],
        "failures": failures(network, parity, used, sizes, reference),
    }


def failures(
    network: QuantizedNetwork, parity: Parity, used: Kernels, sizes: FileSizes, reference: bool | None
) -> list[str]:
    """One sentence for each check that an exported network does not meet."""
    found = []
    eight = all(quantizer.bits == 8 for quantizer in network.quantizers)
    least = AGREEMENT_8_BIT if eight else AGREEMENT_FEWER_BITS
    if parity.argmax_agreement < least:
        found.append(f"argmax agreement with torch is {parity.argmax_agreement:.4f}, below {least}")
    if abs(parity.metric - parity.torch_metric) > METRIC_TOLERANCE:
        found.append(f"the metric is {parity.metric:.4f}, in torch {parity.torch_metric:.4f}")
    if used.integer_convolutions < used.convolutions:
        found.append(
            f"{used.convolutions - used.integer_convolutions} of {used.convolutions} convolutions run in float"
        )
    stored = costs_of(network.layers, network.quantizers, 8).size_bytes
    if sizes.packed != stored:
        found.append(f"the file packs {sizes.packed} bytes of tensors, size_bytes is {stored}")
    if reference is False:
        found.append("ONNX Runtime and the integer reference differ on random inputs")
    return found
