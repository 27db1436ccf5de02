"""A network of a run folder, without the run."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, final

from torch import nn

from evo_qnas.cards import nearest
from evo_qnas.errors import NetworkError
from evo_qnas.networks.bundle import GRAPH, Facts, read_bundle
from evo_qnas.networks.integer.reference import InIntegers
from evo_qnas.networks.quantization.quantize import QuantizedNetwork


@final
class LoadedNetwork(nn.Module):
    """A quantized network as a device computes it, in integers; no gradients.

    Attributes:
        quantized: the network with quantizers that learn.
        classes: names in the order of the outputs; () where there are none.
        preprocessing: how raw inputs become those of the network; None where the run knew none.
    """

    def __init__(self, quantized: QuantizedNetwork, facts: Facts) -> None:
        super().__init__()
        self.quantized, self._integers = quantized, InIntegers(quantized)
        self.classes: tuple[str, ...] = facts.classes
        self.preprocessing: Mapping[str, Any] | None = facts.preprocessing
        self.eval()

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Outputs as the model gives them, float32 values of integer codes."""
        return self._integers(*inputs, **named)

    def _repr_html_(self) -> str:
        """The network in a line."""
        layers = len(self.quantized.layers)
        return f"<p>{escape(type(self).__name__)}: {layers} layers, {len(self.classes) or 'no'} named classes</p>"


def load_network(folder: str | Path, identity: str | None = None) -> LoadedNetwork:
    """A validated network of a run, from its bundle alone: neither data nor teacher nor card are read.

    Args:
        folder: of a run, or the network's own.
        identity: of the network; None where `folder` is its own.

    Raises:
        NetworkError: there is no such network, or a file is damaged.
    """
    place = Path(folder)
    if identity is not None:
        known = sorted(path.parent.name for path in (place / "networks").glob(f"*/{GRAPH}"))
        if identity not in known:
            raise NetworkError(f"{place} has no network {identity!r}; {nearest(identity, known)}")
        place = place / "networks" / identity
    return LoadedNetwork(*read_bundle(place))
