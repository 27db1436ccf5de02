"""Candidate operators: from cards to modules that fit a block."""

import copy
import inspect
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from evo_qnas.cards import Card, find_card, load_python_card, nearest, read_toml, validate
from evo_qnas.errors import CardError, NetworkError
from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.builders import BUILDERS, Builder
from evo_qnas.networks.candidates.misfit import Misfit
from evo_qnas.networks.candidates.pruning import inherit

TEACHER = "teacher"


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
    """One candidate operator.

    Attributes:
        label: its name in tables.
        builder: `build(shape, **parameters)`, gives a module for a block; a `Misfit`, or None, where it does not fit.
        parameters: of the builder.
        takes_block: whether the builder takes the teacher's own block too, as `block`.
    """

    label: str
    builder: Builder
    parameters: Mapping[str, Any]
    takes_block: bool = False


def load_operators(card: str, parameters: Mapping[str, Sequence[int]]) -> tuple[Operator, ...]:
    """The operators of a card, one for each combination of parameter values.

    Args:
        card: name or path of a TOML card, or of a Python card with `LABEL`, `DEFAULTS` and
            `build(shape, **parameters)`, or `build(shape, *, block, **parameters)` to be given the teacher's own block,
            which must stay as it is; it gives a module, or a `Misfit` or None where the operator does not fit.
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
        if not callable(module.build):
            raise CardError(f"operator card {path}: build is no function, got {module.build!r}")
        if "block" in module.DEFAULTS:
            raise CardError(f"operator card {path}: a parameter cannot be called 'block', which is the teacher's block")
        label, defaults, builder = str(module.LABEL), dict(module.DEFAULTS), module.build
    else:
        content = validate(OperatorCard, read_toml(path), f"operator card {path.name}")
        if content.builder not in BUILDERS:
            raise CardError(
                f"operator card {path.name}: builder = {content.builder!r}; {nearest(content.builder, list(BUILDERS))}"
            )
        label, defaults, builder = content.label, content.defaults, BUILDERS[content.builder]
    return _combine(card, label, defaults, builder, parameters)


def _combine(
    card: str, label: str, defaults: Mapping[str, Sequence[int]], builder: Builder, named: Mapping[str, Sequence[int]]
) -> tuple[Operator, ...]:
    """One operator for each combination of parameter values."""
    for name, values in named.items():
        if name not in defaults and name != "dilation":
            raise CardError(f"operator {card!r} has no parameter {name!r}; {nearest(name, list(defaults))}")
        if not values:
            raise CardError(f"operator {card!r}: {name} is empty, name at least one value")
    takes_block = "block" in inspect.signature(builder).parameters
    merged = {**defaults, **named}
    operators = []
    for values in itertools.product(*merged.values()):
        chosen = dict(zip(merged, values, strict=True))
        text = label.format(**chosen)
        if "dilation" in chosen and chosen["dilation"] != 1 and "{dilation}" not in label:
            text += f"_r{chosen['dilation']}"
        operators.append(Operator(label=text, builder=builder, parameters=chosen, takes_block=takes_block))
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

    Weights are fresh and depend on the seed alone, not on what else was built before; operators that take the teacher's
    block, such as `pruned` and `low_rank`, may keep the teacher's.

    Args:
        operator: what to build.
        shape: of the block.
        seed: of fresh weights.
        block: the teacher's own block, stays as it is; without it no operator fits that takes it.
        inherited: start from the weights of `block` wherever name and shape are the same.

    Raises:
        NetworkError: the operator raises, or gives another shape than the block's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            module = _built(operator, shape, block)
            if isinstance(module, Misfit):
                return None
            if inherited and block is not None:
                inherit(module, block)
            outputs = _output_shape(module, shape)
        except (RuntimeError, TypeError, ValueError, ArithmeticError) as error:
            raise NetworkError(
                f"operator {operator.label!r} cannot be built for block {shape.name!r} "
                f"({shape.inputs} -> {shape.outputs}): {error}"
            ) from error
    if outputs != shape.outputs:
        raise NetworkError(
            f"operator {operator.label!r} gives {outputs} for block {shape.name!r}, which needs {shape.outputs}"
        )
    return module


def candidate_labels(
    operators: Sequence[Operator], shape: BlockShape, *, block: nn.Module | None = None
) -> tuple[str, ...]:
    """Labels of the operators that fit a block, in their order: those for which `build_candidate` gives a module."""
    return tuple(label for label, misfit in misfits(operators, shape, block=block).items() if misfit is None)


def misfits(
    operators: Sequence[Operator], shape: BlockShape, *, block: nn.Module | None = None
) -> dict[str, Misfit | None]:
    """By label why each operator does not fit a block, None where it does; nothing is raised for what its card raises.

    Modules are built on torch's meta device, where tensors have shapes and no values, so that no weights are drawn,
    copied or factorised. An operator that needs values to say whether it fits is built as a whole.

    Args:
        operators: those that are offered.
        shape: of the block.
        block: the teacher's own block, stays as it is.
    """
    bare = None if block is None else _without_values(block)
    return {operator.label: _misfit(operator, shape, block, bare) for operator in operators}


def _misfit(operator: Operator, shape: BlockShape, block: nn.Module | None, bare: nn.Module | None) -> Misfit | None:
    """Why no module can be built, None where one can; `bare` is the block without values."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            module = _built(operator, shape, bare)
            if isinstance(module, Misfit):
                return module
            outputs = _output_shape(module, shape)
            return None if outputs == shape.outputs else _of_another_shape(outputs, shape)
    except Exception:  # a card's code may fail in any way without values; with them it is judged below
        pass
    try:
        return None if build_candidate(operator, shape, seed=0, block=block) is not None else Misfit()
    except NetworkError as error:
        return Misfit(str(error), broken=True)


def _of_another_shape(outputs: tuple[int, ...], shape: BlockShape) -> Misfit:
    one, other = (" x ".join(str(size) for size in sizes) for sizes in (outputs, shape.outputs))
    return Misfit(f"it gives {one}, and the block gives {other}")


def _built(operator: Operator, shape: BlockShape, block: nn.Module | None) -> nn.Module | Misfit:
    """Module of the builder; none where it takes a block and there is none."""
    if not operator.takes_block:
        made = operator.builder(shape, **operator.parameters)
    elif block is None:
        made = Misfit("it is made of the teacher's own block, and there is none")
    else:
        made = operator.builder(shape, block=block, **operator.parameters)
    return Misfit() if made is None else made


@torch.no_grad()
def _output_shape(module: nn.Module, shape: BlockShape) -> tuple[int, ...]:
    """Shape of the module's output for the block's input, without the batch."""
    return tuple(module.eval()(torch.zeros(2, *shape.inputs)).shape[1:])


def _without_values(block: nn.Module) -> nn.Module:
    """A copy of a block on the meta device; its values are not copied on the way."""
    known: dict[int, Any] = {}
    for parameter in block.parameters():
        bare = torch.empty_like(parameter, device="meta")
        known[id(parameter)] = nn.Parameter(bare, requires_grad=parameter.requires_grad)
    known |= {id(buffer): torch.empty_like(buffer, device="meta") for buffer in block.buffers()}
    return copy.deepcopy(block, known)
