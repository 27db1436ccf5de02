"""Every possible block of a network, and which operators fit it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, final

from torch import nn

from evo_qnas.cards import list_cards, nearest
from evo_qnas.data.nests import Nest, rows
from evo_qnas.errors import NetworkError
from evo_qnas.frames import DataFrame, data_frame
from evo_qnas.networks.candidates.blocks import BlockShape, find_blocks
from evo_qnas.networks.candidates.builders import BUILDERS
from evo_qnas.networks.candidates.chains import joined_layers
from evo_qnas.networks.candidates.finding import chosen_blocks
from evo_qnas.networks.candidates.framing import alone
from evo_qnas.networks.candidates.operators import Operator, load_operators, misfits
from evo_qnas.networks.candidates.spans import joined_spans
from evo_qnas.networks.candidates.submodules import Submodule, submodules


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleBlock:
    """A submodule that could be a block.

    Attributes:
        name: as in `get_submodule(name)`.
        kind: name of its class.
        is_layer: True for a single layer.
        inputs: shape of what goes in, without the batch.
        outputs: shape of what comes out.
        channel_axis: of both, examples being axis 0.
        parameters: number of them.
        macs: multiplications per example.
        macs_share: of the whole network, 0..1.
        auto: True where `blocks = "auto"` takes it.
        operators: by operator card why it does not fit, "" where it does.
    """

    name: str
    kind: str
    is_layer: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    channel_axis: int
    parameters: int
    macs: int
    macs_share: float
    auto: bool
    operators: Mapping[str, str] = field(default_factory=dict)

    @property
    def fitting(self) -> tuple[str, ...]:
        """The operators that fit."""
        return tuple(name for name, reason in self.operators.items() if not reason)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleBlocks:
    """The possible blocks of a network, in the order in which they are called.

    Attributes:
        rows: one for each.
        others: by name why a submodule that computes cannot be a block.
    """

    rows: tuple[PossibleBlock, ...]
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def auto(self) -> tuple[str, ...]:
        """The blocks that `blocks = "auto"` takes."""
        return tuple(row.name for row in self.rows if row.auto)

    @property
    def operators(self) -> dict[str, dict[str, str]]:
        """By operator card and block why it does not fit, "" where it does."""
        names = dict.fromkeys(name for row in self.rows for name in row.operators)
        return {name: {row.name: row.operators[name] for row in self.rows if name in row.operators} for name in names}

    def to_dict(self) -> dict[str, Any]:
        """The content as JSON has it."""
        return asdict(self)

    def to_dataframe(self) -> DataFrame:
        """A row for each block, a column for each operator: empty where it fits, else the reason."""
        names = list(dict.fromkeys(name for row in self.rows for name in row.operators))
        columns = ["name", "kind", "inputs", "outputs", "channel_axis", "parameters", "macs", "macs_share", "auto"]
        content = [
            [*(getattr(row, column) for column in columns), *(row.operators.get(name) for name in names)]
            for row in self.rows
        ]
        return data_frame(content, [*columns, *names])


def possible_blocks(
    model: nn.Module,
    example: Nest,
    *,
    operators: Mapping[str, Sequence[Operator]] | None = None,
    names: Sequence[str] | str | None = None,
) -> PossibleBlocks:
    """Every submodule of a network that could be a block, with shapes, costs and the operators that fit.

    Args:
        model: ends in evaluation mode, stays else as it is.
        example: inputs of at least one example; of more than two the first two.
        operators: by name of a card those it offers; None for every card that ships, with its own defaults. A card fits
            where one of its operators does.
        names: of the blocks that are listed, `auto` for those that the rule finds; None for every possible one.

    Raises:
        NetworkError: a name is no possible block.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()), nn.Flatten())
        >>> import torch
        >>> [row.name for row in possible_blocks(network, torch.zeros(2, 3, 8, 8)).rows]
        ['0', '1', '1.0']
    """
    inputs = rows(example, slice(0, 2))
    parts = {part.name: part for part in submodules(model, inputs)}
    offered = _shipped() if operators is None else operators
    chosen = chosen_blocks(model, parts, inputs)
    total = max(1, sum(part.macs for part in parts.values() if not _inside(part.name, parts)))
    possible = _wanted(model, parts | chosen, list(chosen) if names == "auto" else names)
    shapes = _shapes(model, possible, inputs)
    found, known = [], dict[tuple[Any, ...], str]()
    for part in possible:
        shape = shapes[part.name]
        found.append(
            PossibleBlock(
                name=part.name,
                kind=part.kind,
                is_layer=part.is_leaf,
                inputs=part.inputs,
                outputs=part.outputs,
                channel_axis=shape.channel_axis,
                parameters=part.parameters,
                macs=part.macs,
                macs_share=part.macs / total,
                auto=part.name in chosen,
                operators=_reasons(offered, shape, _block(model, part), known),
            )
        )
    others = {part.name: part.why_not for part in parts.values() if part.macs > 0 and part.why_not}
    return PossibleBlocks(rows=tuple(found), others=others)


def _wanted(model: nn.Module, parts: Mapping[str, Submodule], names: Sequence[str] | str | None) -> list[Submodule]:
    """The possible blocks that are listed."""
    if names is None:
        return [part for part in parts.values() if part.possible]
    found = []
    for name in [names] if isinstance(names, str) else names:
        part = parts.get(name) or joined_layers(model, parts, name)
        if part is None:
            raise NetworkError(f"the network calls no submodule {name!r}; {nearest(name, list(parts))}")
        if part.why_not:
            raise NetworkError(f"{name!r} cannot be a block: {part.why_not}")
        found.append(part)
    return found


def _shipped() -> dict[str, tuple[Operator, ...]]:
    return {name: load_operators(name, {}) for name in list_cards("operators/blocks")}


def _inside(name: str, parts: Mapping[str, Submodule]) -> bool:
    """True where a submodule lies inside another one that is called."""
    outer = name.split(".")
    return any(".".join(outer[:count]) in parts for count in range(1, len(outer)))


def _shapes(model: nn.Module, parts: Sequence[Submodule], inputs: Nest) -> dict[str, BlockShape]:
    """The shapes of submodules and joined layers, some of which lie inside others: those of one depth at a time."""
    by_depth: dict[tuple[int, bool], list[str]] = {}
    known = {name for name, _ in model.named_modules()}
    for part in parts:
        by_depth.setdefault((part.name.count("."), part.name in known), []).append(part.name)
    found = [shape for names in by_depth.values() for shape in find_blocks(joined_spans(model, names), names, inputs)]
    return {shape.name: shape for shape in found}


def _block(model: nn.Module, part: Submodule) -> nn.Module:
    """A possible block as a module from tensor to tensor."""
    assert part.signature is not None  # only what cannot be a block has none
    return alone(joined_spans(model, [part.name]).get_submodule(part.name), part.signature)


def _reasons(
    offered: Mapping[str, Sequence[Operator]], shape: BlockShape, block: nn.Module, known: dict[tuple[Any, ...], str]
) -> dict[str, str]:
    """Why each card does not fit a block, "" where one of its operators does; `known` has what shapes alone decide."""
    reasons = {}
    for card, operators in offered.items():
        # Our own builders do not look at the number of channels but to see whether it stays.
        ours = all(operator.builder in BUILDERS.values() for operator in operators) and shape.dims > 0
        shapes = shape.sizes if ours else (shape.inputs, shape.outputs)
        key = (card, *shapes, shape.inputs == shape.outputs, shape.dilation, shape.channel_axis)
        if any(operator.takes_block for operator in operators):
            single = next(block.children(), None) is None
            reasons[card] = "it is a single layer" if single and ours else _reason(operators, shape, block)
        else:
            known[key] = known[key] if key in known else _reason(operators, shape, block)
            reasons[card] = known[key]
    return reasons


def _reason(operators: Sequence[Operator], shape: BlockShape, block: nn.Module) -> str:
    """Why none of a card's operators fits, "" where one does; two of the same reason speak for the others."""
    reasons: list[str] = []
    for operator in operators:
        misfit = misfits([operator], shape, block=block)[operator.label]
        if misfit is None:
            return ""
        if misfit.reason in reasons:
            break
        reasons.append(misfit.reason)
    return reasons[-1] if reasons else "it offers no operator"
