"""HAQ cost arrays: one cost per layer, weight bits and activation bits."""

from pathlib import Path

import numpy as np

from evo_qnas.errors import TableError
from evo_qnas.reading import read_arrays, read_json
from evo_qnas.tables.parts import Block
from evo_qnas.tables.tables import Tables


def import_haq(path: str | Path, *, policy: str | Path | None = None) -> Tables:
    """Tables of HAQ's `lut` array; one block per layer, all pairs of 1 .. 8 weight and activation bits.

    The only column is `cost`, in HAQ's undocumented unit: add a score of your own to search. Baselines: `uniform8`, and
    the published policies by name.

    Args:
        path: `.npz` with `lut` (layers, weight bits, activation bits), index 0 standing for one bit.
        policy: JSON of names to lists of [weight bits, activation bits]; None looks for `haq_published_policy.json`
            beside the array. HAQ reads index `bits - 1` and writes -1 for the first layer's activations, which Python
            resolves to the next to last column; so does this importer.

    Raises:
        TableError: a file cannot be read, or the array or a policy has another shape.

    Source:
        Wang et al. 2019, HAQ: Hardware-Aware Automated Quantization.
    """
    file = Path(path)
    lut = read_arrays(file, ["lut"], TableError)["lut"]
    if lut.ndim != 3 or lut.dtype.kind not in "iuf" or not lut.size:
        raise TableError(
            f"{file}: lut must be numbers of shape (layers, weight bits, activation bits), got {lut.shape}"
        )
    layers, weights, activations = lut.shape
    weight_bits = np.repeat(np.arange(1, weights + 1), activations)
    activation_bits = np.tile(np.arange(1, activations + 1), weights)
    beside = file.with_name("haq_published_policy.json")
    chosen = Path(policy) if policy is not None else beside if beside.is_file() else None
    baselines = {"uniform8": [weights * activations - 1] * layers} if weights == activations == 8 else {}
    if chosen is not None:
        baselines |= _policies(chosen, layers, weights, activations)
    return Tables.from_arrays(
        {"cost": list(lut.reshape(layers, -1).astype(np.float64))},
        blocks=[
            Block(
                name=f"layer{index:02d}",
                operators=("layer",) * len(weight_bits),
                weight_bits=weight_bits,
                activation_bits=activation_bits,
            )
            for index in range(layers)
        ],
        sources={"cost": f"{file.name}: HAQ, unit undocumented"},
        baselines=baselines,
    )


def _policies(file: Path, layers: int, weights: int, activations: int) -> dict[str, list[int]]:
    """Genomes of the policies in a JSON file."""
    content = read_json(file, TableError)
    try:
        policies = {str(name): np.array(pairs, dtype=np.int64) for name, pairs in content.items()}
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise TableError(f"{file} is no JSON of policies: {error}") from error
    genomes = {}
    for name, pairs in policies.items():
        if pairs.shape != (layers, 2):
            raise TableError(f"{file}: policy {name!r} needs the shape ({layers}, 2), got {pairs.shape}")
        index = pairs - 1
        limits = np.array([weights, activations])
        if (index >= limits).any() or (index < -limits).any():
            raise TableError(f"{file}: policy {name!r} has bits outside 1 .. {limits.tolist()}")
        wrapped = index % limits
        genomes[name] = (wrapped[:, 0] * activations + wrapped[:, 1]).tolist()
    return genomes
