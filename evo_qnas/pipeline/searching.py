"""The search stage: the problem of the tables, and its archive."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evo_qnas.archive import Archive
from evo_qnas.cards import nearest
from evo_qnas.errors import CardError
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.pipeline.cards.problem import FurtherSearch, LatencyCard, SearchCard
from evo_qnas.pipeline.workplace import Workplace, seed_of
from evo_qnas.problem import CustomObjective, TableProblem
from evo_qnas.search import ALGORITHMS, search
from evo_qnas.tables import Block, Tables
from evo_qnas.tables.roofline import device_label, load_device

_COLUMNS = ("score", "size_bytes", "macs", "bit_operations")
_EVERY_BLOCK = "*"


def problem_of(
    place: Workplace, tables: Tables, search: SearchCard | None = None, *, first: Sequence[CustomObjective] = ()
) -> TableProblem:
    """A search's objectives, limits, pins and ties over the tables; the card's main search where None.

    Args:
        place: the run.
        tables: of its choices.
        search: which search.
        first: objectives before those of the search.
    """
    search = search or place.card.search
    return TableProblem(
        tables,
        objectives=[*first, *search.objectives],
        constraints=search.constraints,
        pins=pins_of(search.pins, tables),
        ties=search.ties,
    )


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


def check_search(place: Workplace) -> None:
    """Tries each search's objectives, limits and algorithm on tables of the right columns, before anything is trained.

    Raises:
        CardError: there is no such algorithm, or a search picks by a column that there is not.
        ProblemError: an objective or limit names nothing, or cannot be read.
    """
    tables = _expected_tables(place)
    searches: dict[str, SearchCard] = {"search": place.card.search}
    searches |= {f"searches.{name}": search for name, search in place.card.searches.items()}
    for name, settings in searches.items():
        problem_of(place, tables, settings)
        algorithm = settings.algorithm
        if algorithm not in ALGORITHMS:
            raise CardError(f"{name}.algorithm = {algorithm!r}: there is none; {nearest(algorithm, list(ALGORITHMS))}")
        if isinstance(settings, FurtherSearch) and settings.pick_by not in tables.columns:
            raise CardError(f"{name}.pick_by = {settings.pick_by!r}: {nearest(settings.pick_by, list(tables.columns))}")


def _expected_tables(place: Workplace) -> Tables:
    """Tables of the choices and columns that the run will make, all values 0."""
    blocks, bits = [], place.card.quantization
    pairs = [(weight, activation) for weight in bits.weight_bits for activation in bits.activation_bits]
    for shape in place.shapes:
        operators = [TEACHER, *place.candidates(shape.name)]
        weightless = {name for name, module in place.candidates(shape.name).items() if not list(module.parameters())}
        labels = [(name, *pair) for name in operators for pair in ([(0, 0)] if name in weightless else pairs)]
        blocks.append(
            Block(
                name=shape.name,
                operators=tuple(label[0] for label in labels),
                weight_bits=np.array([label[1] for label in labels], dtype=np.int64),
                activation_bits=np.array([label[2] for label in labels], dtype=np.int64),
            )
        )
    columns = [*_COLUMNS, *latency_columns(place.card.latency)]
    if place.card.inplace is not None:
        columns.append("score_inplace")
    return Tables.from_arrays({name: [np.zeros(len(block)) for block in blocks] for name in columns}, blocks=blocks)


def latency_columns(settings: LatencyCard | None) -> list[str]:
    """The columns that `[latency]` of a card adds to the tables."""
    if settings is None:
        return []
    for name in settings.devices:
        load_device(name)
    measured = ["latency_ms", "latency_fp32_ms"] if settings.float32 else ["latency_ms"]
    return [*measured, "peak_memory_bytes", *(f"latency_model_ms@{device_label(name)}" for name in settings.devices)]


def make_archive(place: Workplace, problem: TableProblem, name: str = "") -> Archive:
    """`archive.h5`, of a further search `archive-NAME.h5`: every evaluation of the search and its front."""
    settings = place.card.searches[name] if name else place.card.search
    return search(
        problem,
        algorithm=settings.algorithm,
        evaluations=settings.evaluations,
        population=settings.population,
        seed=seed_of("search", place.card.seed, *([name] if name else [])) % 2**31,
        path=place.folder / (f"archive-{name}.h5" if name else "archive.h5"),
    )
