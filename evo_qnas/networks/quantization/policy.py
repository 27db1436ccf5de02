"""Bits of each part of a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import final

from torch import fx, nn

from evo_qnas.cards import nearest
from evo_qnas.errors import NetworkError
from evo_qnas.networks.quantization.quantizers import MAX_BITS, MIN_BITS
from evo_qnas.networks.quantization.recipe import PLAIN, Recipe
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME, SCHEMES

__all__ = ["FLOAT_ACTIVATION_BITS", "FLOAT_WEIGHT_BITS", "Bits", "Policy", "check_kept", "matches"]

# Widths at which floats are stored, and the one in which they are computed.
FLOAT_WEIGHT_BITS, FLOAT_ACTIVATION_BITS = (16, 32), 32


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """Bit-widths of weights and of activations, 2..8 each; or 16 or 32 and 32 of what is computed in floats.

    A part in floats reads codes and gives codes of 8 bits; in between nothing is rounded. Its parameters are stored at
    16 or 32 bits.

    Attributes:
        weight: bits of weights.
        activation: bits of activations.
        keep_float: names of submodules, with `*` for any text, that have floats instead; of the fixed part alone.
    """

    weight: int
    activation: int
    keep_float: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, bits in (("weight", self.weight), ("activation", self.activation)):
            if not MIN_BITS <= bits <= MAX_BITS and not self.in_floats:
                raise NetworkError(f"{name} bits must be {MIN_BITS}..{MAX_BITS}, got {bits}")

    @property
    def in_floats(self) -> bool:
        """True where nothing but what goes in and comes out has codes."""
        return self.weight in FLOAT_WEIGHT_BITS and self.activation == FLOAT_ACTIVATION_BITS


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The bits of each part of a network, and the scheme of its codes.

    Attributes:
        fixed: everything outside the named blocks.
        blocks: per block its bits.
        image_bits: activation bits of the network's input.
        scheme: name of an entry of `SCHEMES`.
        recipe: how calibration finds the codes of weights.
    """

    fixed: Bits
    blocks: Mapping[str, Bits] = field(default_factory=dict)
    image_bits: int = 8
    scheme: str = DEFAULT_SCHEME
    recipe: Recipe = PLAIN

    def __post_init__(self) -> None:
        SCHEMES.require(self.scheme)

    def block_of(self, node: fx.Node) -> str:
        """The block from which an operation comes, "" for the fixed part."""
        for path, _kind in reversed(list((node.meta.get("nn_module_stack") or {}).values())):
            for name in self.blocks:
                if path == name or path.startswith(f"{name}."):
                    return name
        return ""

    def stays_float(self, node: fx.Node) -> bool:
        """True for operations that are computed in floats: of a block in floats, or of what the fixed part keeps."""
        return self.bits_of(self.block_of(node)).in_floats or self.is_kept(node)

    def is_kept(self, node: fx.Node) -> bool:
        """True for operations of the fixed part inside a submodule that keeps floats."""
        if not self.fixed.keep_float or self.block_of(node):
            return False
        paths = [str(path) for path, _kind in (node.meta.get("nn_module_stack") or {}).values()]
        return any(matches(path, self.fixed.keep_float) for path in paths)

    def bits_of(self, block: str) -> Bits:
        """The bits of a block, or of the fixed part for ""."""
        return self.blocks.get(block, self.fixed)

    def code_bits(self, block: str) -> int:
        """Bits of the codes of a block, or of the fixed part for ""."""
        bits = self.bits_of(block)
        return MAX_BITS if bits.in_floats else bits.activation


def matches(name: str, patterns: Sequence[str]) -> bool:
    """True where the name of a submodule is that of a pattern.

    Example:
        >>> matches("head.1", ["head.*"]), matches("heads", ["head"])
        (True, False)
    """
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def check_kept(network: nn.Module, blocks: Sequence[str], patterns: Sequence[str]) -> None:
    """Refuses patterns that keep nothing in floats.

    Args:
        network: whose submodules are meant.
        blocks: those that may be replaced, whose bits the search decides.
        patterns: of names.

    Raises:
        NetworkError: a pattern names no submodule of the fixed part.
    """
    known = [name for name, _ in network.named_modules() if name]
    fixed = [name for name in known if not any(f"{name}.".startswith(f"{block}.") for block in blocks)]
    for pattern in patterns:
        if not any(matches(name, [pattern]) for name in fixed):
            inside = any(matches(name, [pattern]) for name in known)
            reason = "it lies in a block, whose bits the search decides" if inside else nearest(pattern, fixed)
            raise NetworkError(f"keep_float = {pattern!r} names nothing outside the blocks: {reason}")
