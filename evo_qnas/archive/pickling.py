"""Pickles of values with read-only mappings, which Python itself does not pickle."""

from collections.abc import Callable
from dataclasses import fields
from types import MappingProxyType
from typing import Any


def reduced(value: Any) -> tuple[Callable[..., Any], tuple[type, dict[str, Any], tuple[str, ...]]]:
    """The `__reduce__` of a dataclass: its fields, read-only mappings as dictionaries."""
    parts = {part.name: getattr(value, part.name) for part in fields(value)}
    frozen = tuple(name for name, part in parts.items() if isinstance(part, MappingProxyType))
    return _remade, (type(value), parts | {name: dict(parts[name]) for name in frozen}, frozen)


def _remade(kind: type, parts: dict[str, Any], frozen: tuple[str, ...]) -> Any:
    """The value of its fields."""
    return kind(**parts | {name: MappingProxyType(parts[name]) for name in frozen})
