"""Candidate operators: from cards to modules that fit a block."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from evo_qnas.cards import Card, find_card, load_python_card, nearest, read_toml, validate
from evo_qnas.errors import CardError, NetworkError
from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.low_rank import low_rank
from evo_qnas.networks.candidates.pruning import inherit, pruned
from evo_qnas.networks.models.deeplab import AtrousPyramid
from evo_qnas.networks.models.layers import depthwise_separable, fused_inverted_residual, inverted_residual

TEACHER = "teacher"

Builder = Callable[..., nn.Module | None]


class OperatorCard(Card):
    """A card of `operators/blocks/`.

    Attributes:
        description: one line for `evo-qnas list operators`.
        builder: name of one of `BUILDERS`.
        label: name of the operator in tables, with its parameters in braces.
        defaults: parameter values to combine where a problem card names none.
    """

    description: str
    builder: str
    label: str
    defaults: dict[str, list[int]] = {}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One candidate operator: its label in tables and what builds it for a block (None where it does not fit)."""

    label: str
    builder: Builder
    parameters: Mapping[str, Any]


def _stack(layer: Callable[..., nn.Module]) -> Builder:
    """A builder of `depth` such layers, the first of which takes the stride and the change of channels.

    They keep the dilation of the block that they may replace, unless a card gives one.
    """

    def build(shape: BlockShape, *, depth: int = 1, dilation: int = 0, **parameters: int) -> nn.Module | None:
        if len(shape.inputs) != 3 or len(shape.outputs) != 3:
            return None
        width, layers = shape.inputs[0], []
        for index in range(depth):
            stride = shape.stride if index == 0 else 1
            rate = dilation or shape.dilation
            layers.append(layer(width, shape.outputs[0], stride=stride, dilation=rate, **parameters))
            width = shape.outputs[0]
        return nn.Sequential(*layers)

    return build


def _separable_pyramid(shape: BlockShape, *, rate: int, divide: int = 1) -> nn.Module | None:
    """An atrous pyramid of depthwise-separable branches with the rates 1, 2 and 3 times `rate`."""
    if len(shape.inputs) != 3 or shape.inputs[1:] != shape.outputs[1:]:
        return None
    width = max(8, shape.outputs[0] // divide)
    return AtrousPyramid(
        shape.inputs[0], shape.outputs[0], rates=[rate, 2 * rate, 3 * rate], hidden=width, separable=True
    )


def _pruned(
    shape: BlockShape, *, keep: int, multiple: int, spare: int = 0, block: nn.Module | None = None
) -> nn.Module | None:
    """A narrower copy of the teacher's block."""
    _check_width(keep, multiple)
    if spare not in {0, 1}:
        raise ValueError(f"spare is 0 (narrow everything) or 1, got {spare}")
    return None if block is None else pruned(block, keep, multiple, spare=bool(spare))


def _low_rank(
    shape: BlockShape, *, keep: int, multiple: int, width: int = 100, block: nn.Module | None = None
) -> nn.Module | None:
    """A copy of the teacher's block with its wide convolutions factorised."""
    _check_width(keep, multiple)
    if not 0 < width <= 100:
        raise ValueError(f"width is a share in percent between 1 and 100, got {width}")
    return None if block is None else low_rank(block, keep, multiple, width=width)


def _check_width(keep: int, multiple: int) -> None:
    if not 0 < keep < 100:
        raise ValueError(f"keep is a share in percent between 1 and 99, got {keep}")
    if multiple < 1:
        raise ValueError(f"multiple is a number of channels of at least 1, got {multiple}")


def _identity(shape: BlockShape) -> nn.Module | None:
    return nn.Identity() if shape.inputs == shape.outputs else None


BUILDERS: dict[str, Builder] = {
    "inverted_residual": _stack(inverted_residual),
    "fused_inverted_residual": _stack(fused_inverted_residual),
    "depthwise_separable": _stack(depthwise_separable),
    "separable_pyramid": _separable_pyramid,
    "pruned": _pruned,
    "low_rank": _low_rank,
    "identity": _identity,
}
_OF_THE_TEACHER = (_pruned, _low_rank)


def load_operators(card: str, parameters: Mapping[str, Sequence[int]]) -> tuple[Operator, ...]:
    """The operators of a card, one for each combination of parameter values.

    Args:
        card: name or path of a TOML card, or of a Python card with `LABEL`, `DEFAULTS` and
            `build(shape, **parameters) -> nn.Module | None`.
        parameters: values per parameter; those absent take the card's defaults.

    Raises:
        CardError: the card is missing or breaks a rule, or a parameter is unknown or has no value.
    """
    path = find_card("operators/blocks", card)
    if path.suffix == ".py":
        module = load_python_card(path)
        names = [name for name in ("LABEL", "DEFAULTS", "build") if name not in vars(module)]
        if names:
            raise CardError(f"operator card {path} lacks {', '.join(names)}")
        label, defaults, builder = str(module.LABEL), dict(module.DEFAULTS), module.build
    else:
        found = validate(OperatorCard, read_toml(path), f"operator card {path.name}")
        if found.builder not in BUILDERS:
            raise CardError(
                f"operator card {path.name}: builder = {found.builder!r}; {nearest(found.builder, list(BUILDERS))}"
            )
        label, defaults, builder = found.label, found.defaults, BUILDERS[found.builder]
    return _combine(card, label, defaults, builder, parameters)


def _combine(
    card: str, label: str, defaults: Mapping[str, Sequence[int]], builder: Builder, given: Mapping[str, Sequence[int]]
) -> tuple[Operator, ...]:
    """One operator for each combination of parameter values."""
    for name, values in given.items():
        if name not in defaults and name != "dilation":
            raise CardError(f"operator {card!r} has no parameter {name!r}; {nearest(name, list(defaults))}")
        if not values:
            raise CardError(f"operator {card!r}: {name} is empty, name at least one value")
    merged = {**defaults, **given}
    operators = []
    for values in itertools.product(*merged.values()):
        chosen = dict(zip(merged, values, strict=True))
        text = label.format(**chosen)
        if "dilation" in chosen and chosen["dilation"] != 1 and "{dilation}" not in label:
            text += f"_r{chosen['dilation']}"
        operators.append(Operator(label=text, builder=builder, parameters=chosen))
    twice = [text for text, count in Counter(operator.label for operator in operators).items() if count > 1]
    if twice:
        raise CardError(
            f"operator {card!r}: {twice[0]!r} would name several combinations of parameters; give one value to each "
            f"parameter that the label {label!r} does not name"
        )
    return tuple(operators)


def build_candidate(
    operator: Operator, shape: BlockShape, *, seed: int, block: nn.Module | None = None, inherited: bool = False
) -> nn.Module | None:
    """The operator for a block, in evaluation mode; None where it does not fit the shapes.

    Weights are fresh and depend on the seed alone, not on what else was built before; `pruned` and
    `low_rank` operators keep the teacher's.

    Args:
        operator: what to build.
        shape: of the block.
        seed: of fresh weights.
        block: the teacher's own block; without it there are no `pruned` and `low_rank` ones.
        inherited: start from the weights of `block` wherever name and shape are the same.

    Raises:
        NetworkError: the operator raises, or gives another shape than the block's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            of_teacher = {"block": block} if operator.builder in _OF_THE_TEACHER else {}
            module = operator.builder(shape, **operator.parameters, **of_teacher)
            if module is None:
                return None
            if inherited and block is not None:
                inherit(module, block)
            with torch.no_grad():
                given = tuple(module.eval()(torch.zeros(2, *shape.inputs)).shape[1:])
        except (RuntimeError, TypeError, ValueError) as error:
            raise NetworkError(
                f"operator {operator.label!r} cannot be built for block {shape.name!r} "
                f"({shape.inputs} -> {shape.outputs}): {error}"
            ) from error
    if given != shape.outputs:
        raise NetworkError(
            f"operator {operator.label!r} gives {given} for block {shape.name!r}, which needs {shape.outputs}"
        )
    return module
