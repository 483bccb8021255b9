"""Compact students: which methods teach one, and in what it differs from its teacher.

A row changes options of the method and leaves the others as they are, as in `ABLATIONS`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue

from geocomiss.errors import MethodError

COMPACT: Final = "compact"
"""The preset of a student."""
TEACHER: Final = "full"
"""The preset of its teacher."""

STUDENTS: Final[Mapping[str, Mapping[str, JsonValue]]] = MappingProxyType(
    {
        "comiss": {
            "encoders": "one",
            "discriminated": "none",
            "contrastive": "none",
            "average": 0.98,
            "dropout": 0.1,
        },
        "comiss+": {"dropout": 0.1},
    }
)
"""Per key in `METHODS`, what a student has otherwise: one encoder a modality whatever its teacher has,
no losses on features, which it does not learn from, a running mean of its weights, and less drop-out,
since soft targets are harder to learn by heart."""


def is_student(options: Mapping[str, JsonValue]) -> bool:
    """Whether a method with these options learns from a teacher."""
    return options.get("preset") == COMPACT


def with_student(name: str, options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Options as they are; of a student with what it has otherwise, unless they say something else.

    Raises:
        MethodError: The method teaches none.
    """
    if not is_student(options):
        return dict(options)
    if name not in STUDENTS:
        raise MethodError(
            f"{name} teaches no compact network",
            expected=" or ".join(STUDENTS),
            todo="choose one of these with --method, or another --preset",
        )
    return {**STUDENTS[name], **options}


def of_teacher(options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The options of the method that teaches a student asked for with these options."""
    return {**options, "preset": TEACHER}
