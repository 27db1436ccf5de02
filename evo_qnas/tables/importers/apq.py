"""The APQ look-up table: latency and energy of single layers on BitFusion, put together to inverted residual blocks."""

from pathlib import Path

import numpy as np

from evo_qnas.errors import TableError
from evo_qnas.reading import read_arrays
from evo_qnas.tables.parts import Block
from evo_qnas.tables.tables import Tables

FIELDS = ("in_channels", "out_channels", "input_size", "kernel", "stride", "padding", "groups", "w_bits", "a_bits")

# In channels, out channels, input size, stride and repetitions of APQ's blocks.
_LAYOUT = (
    (16, 24, 112, 2, 1),
    (24, 24, 56, 1, 3),
    (24, 40, 56, 2, 1),
    (40, 40, 28, 1, 3),
    (40, 80, 28, 2, 1),
    (80, 80, 14, 1, 3),
    (80, 96, 14, 1, 1),
    (96, 96, 14, 1, 3),
    (96, 192, 14, 2, 1),
    (192, 192, 7, 1, 3),
    (192, 320, 7, 1, 1),
)

# APQ's table has some hundreds.
_MOST_CHOICES = 20_000

Costs = dict[tuple[int, ...], tuple[float, float]]


def import_apq(path: str | Path) -> Tables:
    """Tables of APQ's 21 inverted residual blocks; choices are kernel x middle width x weight bits x activation bits.

    A choice `k5_w128` at 4/6 bits is a pointwise expansion to 128 channels, a depthwise 5 x 5 and a pointwise
    projection, all at 4 weight and 6 activation bits; its cost is the sum of the three measured layers. Choices with a
    layer that the table lacks are absent, so blocks have different numbers of choices. First and last layers of the
    network are the fixed part. There is no score: add one of your own to search for quality.

    Columns: `latency_ms`, `energy_mj`.

    Args:
        path: `.npz` with `key` (layers, 9), `key_fields`, `latency` (ms), `energy` (mJ), `head` and `tail`
            (latency, energy).

    Raises:
        TableError: the file cannot be read, or an array is missing or of another shape.

    Source:
        Wang et al. 2020, APQ: Joint Search for Network Architecture, Pruning and Quantization Policy.
    """
    file = Path(path)
    arrays = read_arrays(file, ["key", "key_fields", "latency", "energy", "head", "tail"], TableError)
    costs = _costs(file, arrays)
    fixed = arrays["head"] + arrays["tail"]
    blocks: list[Block] = []
    latency: list[np.ndarray] = []
    energy: list[np.ndarray] = []
    for into, out, size, stride, repeats in _LAYOUT:
        labels, values = _choices(costs, into, out, size, stride)
        if not labels:
            raise TableError(f"{file} has no complete block from {into} to {out} channels at {size} x {size}")
        for _ in range(repeats):
            blocks.append(
                Block(
                    name=f"block{len(blocks):02d}",
                    operators=tuple(label[0] for label in labels),
                    weight_bits=np.array([label[1] for label in labels], dtype=np.int64),
                    activation_bits=np.array([label[2] for label in labels], dtype=np.int64),
                )
            )
            latency.append(values[:, 0])
            energy.append(values[:, 1])
    source = f"{file.name}: APQ, BitFusion"
    return Tables.from_arrays(
        {"latency_ms": latency, "energy_mj": energy},
        blocks=blocks,
        sources={"latency_ms": source, "energy_mj": source},
        fixed={"latency_ms": float(fixed[0]), "energy_mj": float(fixed[1])},
    )


def _costs(file: Path, arrays: dict[str, np.ndarray]) -> Costs:
    """(latency, energy) of a layer by its key."""
    for name in ("latency", "energy", "head", "tail"):
        if arrays[name].ndim != 1 or arrays[name].dtype.kind not in "iuf":
            raise TableError(f"{file}: {name} must be a row of numbers")
    key, rows = arrays["key"], len(arrays["latency"])
    if tuple(arrays["key_fields"].tolist()) != FIELDS or key.shape != (rows, len(FIELDS)) or key.dtype.kind not in "iu":
        raise TableError(f"{file}: key must hold the fields {', '.join(FIELDS)}, one row for each latency")
    if arrays["energy"].shape != (rows,) or arrays["head"].shape != (2,) or arrays["tail"].shape != (2,):
        raise TableError(f"{file}: energy needs one number per row of key, head and tail two each")
    pairs = zip(arrays["latency"].tolist(), arrays["energy"].tolist(), strict=True)
    return dict(zip(map(tuple, key.tolist()), pairs, strict=True))


def _choices(
    costs: Costs, into: int, out: int, size: int, stride: int
) -> tuple[list[tuple[str, int, int]], np.ndarray]:
    """Labels and (latency, energy) of the blocks whose three layers are all known."""
    after = size // stride
    middles = sorted({key[1] for key in costs if key[0] == into and key[2] == size and key[3] == 1 and key[1] > into})
    bits = sorted({key[7:] for key in costs})
    if len(middles) * len(bits) > _MOST_CHOICES:
        raise TableError(f"a block from {into} to {out} channels has more than {_MOST_CHOICES:,} widths x bits")
    labels, values = [], []
    for middle in middles:
        for kernel in (3, 5, 7):
            for weights, activations in bits:
                layers = (
                    (into, middle, size, 1, 1, 0, 1, weights, activations),
                    (middle, middle, size, kernel, stride, kernel // 2, middle, weights, activations),
                    (middle, out, after, 1, 1, 0, 1, weights, activations),
                )
                if all(layer in costs for layer in layers):
                    labels.append((f"k{kernel}_w{middle}", weights, activations))
                    values.append(np.sum([costs[layer] for layer in layers], axis=0))
    return labels, np.array(values)
