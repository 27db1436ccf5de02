"""Bits of each part of a network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.quantization.quantizers import MAX_BITS, MIN_BITS
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME, SCHEMES


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """Bit-widths of weights and of activations, 2..8 each."""

    weight: int
    activation: int

    def __post_init__(self) -> None:
        for name, bits in (("weight", self.weight), ("activation", self.activation)):
            if not MIN_BITS <= bits <= MAX_BITS:
                raise NetworkError(f"{name} bits must be {MIN_BITS}..{MAX_BITS}, got {bits}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The bits of each part of a network, and the scheme of its codes.

    Attributes:
        fixed: everything outside the named blocks.
        blocks: per block its bits.
        image_bits: activation bits of the network's input.
        scheme: name of an entry of `SCHEMES`.
    """

    fixed: Bits
    blocks: Mapping[str, Bits] = field(default_factory=dict)
    image_bits: int = 8
    scheme: str = DEFAULT_SCHEME

    def __post_init__(self) -> None:
        SCHEMES.require(self.scheme)

    def block_of(self, node: fx.Node) -> str:
        """The block from which an operation comes, "" for the fixed part."""
        for path, _kind in reversed(list((node.meta.get("nn_module_stack") or {}).values())):
            for name in self.blocks:
                if path == name or path.startswith(f"{name}."):
                    return name
        return ""

    def bits_of(self, block: str) -> Bits:
        """The bits of a block, or of the fixed part for ""."""
        return self.blocks.get(block, self.fixed)
