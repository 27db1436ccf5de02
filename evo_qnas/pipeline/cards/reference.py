"""The documentation's page of card keys and the JSON schema of cards, both from the models of cards.

`python -m evo_qnas.pipeline.cards.reference docs/reference` writes `card_keys.md` and `card.schema.json`.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from evo_qnas.pipeline.cards.problem import ProblemCard

_HEAD = """# Card keys

Every key of a problem card. Written by `python -m evo_qnas.pipeline.cards.reference docs/reference`; a test compares it
with the models that check cards. How cards are used: [cards](../cards.md).

For an editor that knows JSON schemas, such as VS Code with Even Better TOML, make this the first line of a card:
`#:schema card.schema.json`, with the path of [card.schema.json](card.schema.json) or of what `evo-qnas schema` prints.
A key without a default must be given; `-` as default means that the key, or the section, may be left out.
"""
_COUNTED = ("images", "networks", "epochs", "threads", "times", "training steps")
_BESIDE: Mapping[str, Any] = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 1024}}


def card_schema() -> dict[str, Any]:
    """The JSON schema of problem cards, as they are written: short forms are allowed."""
    schema = ProblemCard.model_json_schema()
    parts = schema["$defs"]
    _also(parts["BlocksCard"]["properties"], "names", {"const": "auto"})
    _also(schema["properties"], "data", {"type": "string"})
    parts["ClassCard"] = {"anyOf": [{"type": "string"}, parts["ClassCard"]]}
    operators = parts["OperatorUse"]
    del operators["properties"]["parameters"]
    operators["additionalProperties"] = dict(_BESIDE)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _also(properties: dict[str, Any], key: str, short: dict[str, Any]) -> None:
    """Allows a key one more form."""
    properties[key] = {"anyOf": [short, properties[key]]}


def card_keys() -> str:
    """The page in Markdown."""
    schema = ProblemCard.model_json_schema()
    return "\n".join(
        [_HEAD, *(line for title, part in _sections(ProblemCard, "") for line in _table(title, part, schema))]
    )


def _sections(model: type[BaseModel], title: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section of a card with its model, outer ones first."""
    yield title, model
    for key, field in model.model_fields.items():
        for inner in _models(field.annotation):
            kind = _kind(field.annotation)
            yield from _sections(inner, f"{title}.{key}{kind}".removeprefix("."))


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]


def _kind(annotation: Any) -> str:
    """What follows a section's name: nothing, a name of the user's, or a mark of a list."""
    parts = [annotation, *getattr(annotation, "__args__", ())]
    origins = {getattr(part, "__origin__", None) for part in parts}
    return ".NAME" if dict in origins else "[]" if list in origins else ""


def _table(title: str, model: type[BaseModel], schema: Mapping[str, Any]) -> Iterator[str]:
    """Heading, what the section is, and a row for each key."""
    about, texts = _described(model)
    section = f"[[{title[:-2]}]]" if title == "operators[]" else f"[{title}]"
    yield f"## {f'`{section}`' if title else 'The card itself'}\n"
    yield f"{about}\n"
    yield "| key | what | unit | values | default |"
    yield "|---|---|---|---|---|"
    fields = {**schema["$defs"], "ProblemCard": schema}[model.__name__]["properties"]
    for key, field in model.model_fields.items():
        text = texts[key]
        default = "" if field.is_required() else _shown(field.get_default(call_default_factory=True))
        yield f"| `{key}` | {_cell(text)} | {_unit(text)} | {_cell(_values(fields[key]))} | {_cell(default)} |"
    yield ""


def _described(model: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """What a section is, and what each of its keys is; an inherited key may be described by the parent."""
    texts: dict[str, str] = {}
    for part in reversed(model.__mro__):
        _, _, listed = (inspect.cleandoc(part.__doc__ or "")).partition("Attributes:\n")
        for name, text in re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", listed, flags=re.MULTILINE):
            texts[name] = " ".join(text.split())
    about = inspect.cleandoc(model.__doc__ or "").partition("\n\nAttributes:")[0]
    return about, texts


def _unit(text: str) -> str:
    found = re.search(r", in (\w+)", text)
    return found[1] if found else next((f"{word}" for word in _COUNTED if text.startswith(word)), "")


def _values(field: Mapping[str, Any]) -> str:
    """What a key may be."""
    if "anyOf" in field:
        return " or ".join(_values(part) for part in field["anyOf"] if part.get("type") != "null")
    if "$ref" in field or "allOf" in field:
        return "section"
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if "prefixItems" in field:
        return f"list of {len(field['prefixItems'])}: {_values(field['prefixItems'][0])}"
    if field.get("type") == "array":
        return f"list of {_values(field['items'])}"
    words = {
        "object": "section",
        "string": "text",
        "boolean": "true or false",
        "integer": "whole number",
        "number": "number",
    }
    return f"{words.get(field.get('type', ''), 'anything')}{_range(field)}"


def _range(field: Mapping[str, Any]) -> str:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    found = [f"{sign} {field[key]:,}" for key, sign in signs.items() if key in field]
    return f" {' and '.join(found)}" if found else ""


def _shown(default: Any) -> str:
    """A default as it would stand in a card."""
    if default is None or isinstance(default, BaseModel):
        return "-"
    return f"`{json.dumps(default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "card_keys.md").write_text(card_keys(), encoding="utf-8")
    (folder / "card.schema.json").write_text(json.dumps(card_schema(), indent=1) + "\n", encoding="utf-8")
