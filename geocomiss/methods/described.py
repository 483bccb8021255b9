"""The options of a method in words: name, default, what is allowed, what it means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue, TypeAdapter
from pydantic.dataclasses import is_pydantic_dataclass

from geocomiss.methods.base import MethodOptions


@dataclass(frozen=True)
class OptionInfo:
    """One choice of a method."""

    option: str
    """As in `--option NAME=VALUE`."""
    default: JsonValue
    """Without it."""
    allowed: str
    """Values that it can have."""
    meaning: str
    """What it decides."""


def described(options: type[MethodOptions]) -> tuple[OptionInfo, ...]:
    """All options of a method, those that it shares with others first.

    Args:
        options: The dataclass of its options; what stands under each field is its meaning.
    """
    found: dict[str, OptionInfo] = {}
    for owner in reversed(options.__mro__):  # a class says what its own fields mean, not those it inherits
        if not is_pydantic_dataclass(owner):
            continue
        for name, schema in TypeAdapter(owner).json_schema()["properties"].items():
            meaning = " ".join(schema.get("description", "").split()) or found[name].meaning
            found[name] = OptionInfo(name, schema["default"], _allowed(schema), meaning)
    return tuple(found.values())


def _allowed(schema: Mapping[str, Any]) -> str:
    """The values of a JSON schema in words."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "boolean":
        return "true | false"
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return ", ".join(limits) or str(schema.get("type", "any"))
