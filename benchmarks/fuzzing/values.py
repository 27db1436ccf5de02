"""Hostile values, and damage of JSON, TOML and bytes that keeps some structure."""

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import tomlkit

Rng = np.random.Generator

# Texts that stand for what JSON and TOML write without quotes.
_MARKED = {
    "@nan@": ("NaN", "nan"),
    "@inf@": ("-Infinity", "-inf"),
    "@huge@": ("1" * 400, "1" * 400),
    "@digits@": ("9" * 6000, "9" * 6000),
    "@beyond@": ("1e400", "1e400"),
    "@deep@": ("[" * 5000 + "]" * 5000, "[" * 5000 + "]" * 5000),
    "@deeper@": ('{"a":' * 100_000, "[" * 20_000),
    "@half@": ('"\\ud800"', '"\\ud800"'),
}
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, -3, 2, 255, 9999, 65_536, 10**9, 2**31, 2**40, 2**63 - 1, 2**63, -(2**63), 10**30),
    *(0.0, -0.5, 0.5, 1e-300, 1e300, -1e300, 1e15),
    *("", " ", "a", "0", "nan", "..", "../../x", "/", "/dev/zero", ":x", "a:b:c", "=1+1", "\x1b[2J\x07", "a\nb\r\tc"),
    *("\u202egnp", "\U0001f600" * 50, "x" * 5000, "\x00", "caf\u00e9"),
    *([], {}, [[]], [0], [1, 2, 3], ["a"], [None], {"a": 1}, {"": {}}, [[1, 2], [3]]),
    *_MARKED,
]


def any_of(options: Any, rng: Rng) -> Any:
    """One of several, however unlike they are."""
    options = list(options)
    return options[int(rng.integers(len(options)))]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """All (container, key) below a value."""
    found: list[tuple[Any, Any]] = []
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        found.extend(_places(value[key]))
    return found


def damaged_value(value: Any, rng: Rng, *, hostile: list[Any] = VALUES) -> Any:
    """A copy of a JSON-like value with one place changed, now and then up to three."""
    changed = {"": copy.deepcopy(value)}
    for _ in range(int(any_of((1, 1, 1, 2, 3), rng))):
        places = _places(changed)
        if not places:
            return copy.deepcopy(any_of(hostile, rng))
        # The whole is one place of many.
        container, key = places[int(rng.integers(1 if rng.random() < 0.9 and len(places) > 1 else 0, len(places)))]
        _CHANGES[int(rng.integers(len(_CHANGES)))](container, key, changed, rng, hostile)
    return changed.get("")


def _replace(container: Any, key: Any, _whole: Any, rng: Rng, hostile: list[Any]) -> None:
    container[key] = copy.deepcopy(any_of(hostile, rng))


def _remove(container: Any, key: Any, _whole: Any, rng: Rng, _hostile: list[Any]) -> None:
    if key != "" or not isinstance(container, dict):
        del container[key]


def _repeat(container: Any, key: Any, _whole: Any, rng: Rng, _hostile: list[Any]) -> None:
    if isinstance(container, list):
        container.extend(copy.deepcopy(container[key]) for _ in range(int(any_of((1, 3, 300), rng))))
    else:
        container[f"{key}{any_of(('', '_', ' ', '2'), rng)}"] = copy.deepcopy(container[key])


def _rename(container: Any, key: Any, _whole: Any, rng: Rng, _hostile: list[Any]) -> None:
    if isinstance(container, dict) and key != "":
        container[any_of(("", "unknown", "\x1b[31m", "x" * 3000, str(key).upper()), rng)] = container.pop(key)


def _retype(container: Any, key: Any, _whole: Any, rng: Rng, _hostile: list[Any]) -> None:
    value = container[key]
    container[key] = any_of((str(value), [value], {"a": value}, repr(value)[:2000], [value, value]), rng)


def _scale(container: Any, key: Any, _whole: Any, rng: Rng, hostile: list[Any]) -> None:
    value = container[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        _replace(container, key, _whole, rng, hostile)
    else:
        container[key] = any_of((-value, value + 1, value - 1, value + 0.5, value * 1000, value * 10**20), rng)


def _swap(container: Any, key: Any, whole: Any, rng: Rng, _hostile: list[Any]) -> None:
    other, place = any_of(_places(whole), rng)
    container[key] = copy.deepcopy(other[place]) if len(json.dumps(other[place], default=str)) < 20_000 else None


_CHANGES: list[Callable[[Any, Any, Any, Rng, list[Any]], None]] = [_replace] * 4 + [
    *(_remove, _repeat, _rename, _retype, _scale, _scale, _swap),
]


def damaged_json(value: Any, rng: Rng) -> bytes:
    """JSON text of a damaged value, or damaged bytes of good JSON."""
    if rng.random() < 0.15:
        return damaged_bytes(json.dumps(value, indent=1).encode(), rng)
    text = json.dumps(damaged_value(value, rng), ensure_ascii=bool(rng.random() < 0.5))
    for mark, (plain, _) in _MARKED.items():
        text = text.replace(json.dumps(mark), plain)
    return text.encode("utf-8", "surrogatepass")


def damaged_toml(value: dict[str, Any], rng: Rng, *, hostile: list[Any] = VALUES) -> bytes:
    """TOML text of a damaged value, or damaged bytes of good TOML."""
    if rng.random() < 0.15:
        return damaged_bytes(tomlkit.dumps(value).encode(), rng)
    for _ in range(20):
        changed = damaged_value(value, rng, hostile=hostile)
        try:
            text = tomlkit.dumps(changed)
        except (TypeError, ValueError, AttributeError, RecursionError):
            continue  # TOML has no null, and keys of its own
        for mark, (_, plain) in _MARKED.items():
            text = text.replace(f'"{mark}"', plain)
        return text.encode("utf-8", "surrogatepass")
    return damaged_bytes(tomlkit.dumps(value).encode(), rng)


def damaged_bytes(data: bytes, rng: Rng) -> bytes:
    """Bytes flipped, cut, cleared, doubled, replaced by numbers or put in from elsewhere."""
    changed = bytearray(data or b"\0")
    for _ in range(int(any_of((1, 1, 1, 2, 3), rng))):
        if not changed:
            return b""
        start = int(rng.integers(len(changed)))
        if rng.random() < 0.4:
            start = min(start, int(rng.integers(256)))
        length = int(any_of((1, 2, 4, 8, 64, 1000), rng))
        how = int(rng.integers(9))
        if how < 3:
            changed[start] ^= 1 << int(rng.integers(8))
        elif how == 3:
            del changed[start:]
        elif how == 4:
            del changed[start : start + length]
        elif how == 5:
            changed[start : start + length] = bytes(len(changed[start : start + length]))
        elif how == 6:
            changed[start:start] = rng.bytes(length)
        elif how == 7:
            number = int(any_of((0, 1, 0x7F, 0x80, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1), rng))
            width = 4 if number < 2**32 and rng.random() < 0.6 else 8
            changed[start : start + width] = number.to_bytes(width, any_of(("little", "big"), rng))
        else:
            changed[start:start] = changed[start : start + length]
    return bytes(changed)


def damaged_text(text: str, rng: Rng) -> bytes:
    """Text in another encoding, with other line ends, marks or odd characters, or damaged as bytes."""
    how = int(rng.integers(6))
    if how == 0:
        return text.encode(any_of(("utf-16", "utf-32", "utf-8-sig", "utf-16-le"), rng))
    if how == 1:
        return text.replace("\n", any_of(("\r\n", "\r", "\n\n", "\u2028", "\0"), rng)).encode()
    if how == 2:
        at = int(rng.integers(len(text) + 1))
        odd = any_of(('"', '"' * 3, "\x00", "\x1b[2J", "\u202e", "\ufeff", "'", "#", ",", "\r", "x" * 200_000), rng)
        return (text[:at] + odd + text[at:]).encode()
    return damaged_bytes(text.encode(), rng)
