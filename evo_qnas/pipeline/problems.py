"""Search problems of a run: objectives, limits, pins and ties over its tables, or over those it will have."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.export import compiling_runtime
from evo_qnas.networks.quantization.policy import FLOAT_ACTIVATION_BITS
from evo_qnas.pipeline.cards.latency import CompiledCard, LatencyCard
from evo_qnas.pipeline.cards.search import SearchCard
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.context.candidates import Offers
from evo_qnas.pipeline.limits import device_limits
from evo_qnas.problem import CustomObjective, TableProblem
from evo_qnas.tables import Block, Tables
from evo_qnas.tables.roofline import device_label, load_device, speed_at

_COLUMNS = ("score", "size_bytes", "macs", "bit_operations")
_SCORES = ("score", "score_in_context", "score_fisher")
_EVERY_BLOCK = "*"


def problem_of(
    context: RunContext, tables: Tables, search: SearchCard | None = None, *, first: Sequence[CustomObjective] = ()
) -> TableProblem:
    """A search's objectives, limits, pins and ties over the tables; the card's main search where None.

    Args:
        context: the run.
        tables: of its choices.
        search: which search.
        first: objectives before those of the search.
    """
    search = search or context.card.search
    scheme = context.card.quantization.scheme
    limits = device_limits(search.device, tables, scheme=scheme) if search.device else []
    return TableProblem(
        tables,
        objectives=[*first, *search.objectives],
        constraints=[*search.constraints, *limits],
        pins=pins_of(search.pins, tables),
        ties=search.ties,
    )


def score_of(search: SearchCard) -> str:
    """The score that a search minimises, by which its networks are picked; `score` where it minimises none.

    Example:
        >>> score_of(SearchCard(objectives=["size_bytes", "sum:score_fisher"]))
        'score_fisher'
    """
    asked = [text.strip().removeprefix("sum:") for text in search.objectives]
    return next((name for name in asked if name in _SCORES), "score")


def pins_of(pins: Mapping[str, Mapping[str, Any]], tables: Tables) -> dict[str, dict[str, Any]]:
    """A card's pins block by block: those of `"*"` hold for every block, and leave operators without bits in.

    Example:
        >>> tables = Tables.from_arrays({"score": [np.zeros(1)]})
        >>> pins_of({"*": {"weight_bits": 8}}, tables)
        {'block0': {'weight_bits': [0, 8]}}
    """
    found: dict[str, dict[str, Any]] = {}
    for name in tables.names if _EVERY_BLOCK in pins else ():
        found[name] = {}
        for key, value in pins[_EVERY_BLOCK].items():
            values = list(value) if isinstance(value, list) else [value]
            found[name][key] = values if key == "operator" else [0, *values]
    for name, pin in pins.items():
        if name != _EVERY_BLOCK:
            found[name] = {**found.get(name, {}), **pin}
    return found


def expected_tables(context: RunContext) -> Tables:
    """Tables of the choices and columns that the run will make, all values 0."""
    blocks, bits = [], context.card.quantization
    pairs = [(weight, activation) for weight in bits.weight_bits for activation in bits.activation_bits]
    for shape in context.shapes:
        operators = [TEACHER, *context.candidates.labels(shape.name)]
        weightless = context.candidates.weightless(shape.name)
        labels = [
            (name, *pair)
            for name in operators
            for pair in (
                [(0, 0)] if name in weightless else [*pairs, *float_pairs(context.candidates.offers, shape.name, name)]
            )
        ]
        blocks.append(
            Block(
                name=shape.name,
                operators=tuple(label[0] for label in labels),
                weight_bits=np.array([label[1] for label in labels], dtype=np.int64),
                activation_bits=np.array([label[2] for label in labels], dtype=np.int64),
            )
        )
    widest = FLOAT_ACTIVATION_BITS if bits.float_bits else 8
    columns = [*_COLUMNS, *latency_columns(context.card.latency, widest=widest)]
    columns += compiled_columns(context.card.compiled)
    if context.card.in_context is not None:
        columns.append("score_in_context")
    if context.card.fisher is not None:
        columns.append("score_fisher")
    return Tables.from_arrays({name: [np.zeros(len(block)) for block in blocks] for name in columns}, blocks=blocks)


def float_pairs(offers: Offers, block: str, operator: str) -> list[tuple[int, int]]:
    """Weight and activation bits of an operator's choices in floats."""
    return [(width, FLOAT_ACTIVATION_BITS) for width in offers.float_bits(block, operator)]


def latency_columns(settings: LatencyCard | None, *, widest: int = 8) -> list[str]:
    """The columns that `[latency]` of a card adds to the tables.

    Args:
        settings: the section.
        widest: the most bits that a device has to know a speed for.

    Raises:
        CardError: a device is missing, or knows none.
    """
    if settings is None:
        return []
    for name in settings.devices:
        speed_at(load_device(name), widest)
    measured = ["latency_ms", "latency_fp32_ms"] if settings.float32 else ["latency_ms"]
    return [*measured, "peak_memory_bytes", *(f"latency_model_ms@{device_label(name)}" for name in settings.devices)]


def compiled_columns(settings: CompiledCard | None) -> list[str]:
    """The columns that `[compiled]` of a card adds to the tables.

    Raises:
        NetworkError: a runtime of it compiles nothing.
    """
    runtimes = () if settings is None else settings.runtimes
    return [f"{kind}@{name}" for name in runtimes for kind in kinds_of(name)]


def kinds_of(name: str) -> tuple[str, ...]:
    """What the account of the compiler called `name` says of each choice."""
    return ("latency_ms", "flash_bytes") if compiling_runtime(name).estimates else ("flash_bytes",)
