"""Rows of tables of translations in floats."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.tflite.builder import TfliteBuilder

Function = Callable[[TfliteBuilder, fx.Node, Sequence[Any]], Any]


def of(make: Callable[..., Any], count: int = 1) -> Function:
    """A function of the first arguments alone."""
    return lambda builder, _node, arguments: make(builder, *arguments[:count])


def table_of(*rows: tuple[str, Function]) -> dict[Any, Function]:
    """Rows for every overload of names that this torch has."""
    table = {}
    for names, function in rows:
        for name in names.split():
            packet, _, overload = name.partition(".")
            table[getattr(getattr(ATEN, packet), overload or "default")] = function
    return table
