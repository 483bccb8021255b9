"""All methods by name: a new one is a file in this folder and a line in `METHODS`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError

from geocomiss.batch import Spec
from geocomiss.errors import MethodError
from geocomiss.methods.ablation import ABLATIONS
from geocomiss.methods.base import Losses, Method, MethodOptions
from geocomiss.methods.comiss import CoMiss
from geocomiss.methods.comiss_plus import CoMissPlus
from geocomiss.methods.dsensd import DSensD
from geocomiss.methods.dsensd_plus import DSensDPlus
from geocomiss.methods.fcom import FCoMAverage
from geocomiss.methods.fullco import FullCo
from geocomiss.methods.mdico import MDiCo
from geocomiss.methods.timmil import TiMMIL
from geocomiss.methods.unimodal import UniModal

METHODS: Final[dict[str, type[Method]]] = {
    "unimodal": UniModal,
    "fcom-av": FCoMAverage,
    "timmil": TiMMIL,
    "dsensd": DSensD,
    "dsensd+": DSensDPlus,
    "mdico": MDiCo,
    "fullco": FullCo,
    "comiss": CoMiss,
    "comiss+": CoMissPlus,
}
"""All methods by name.

Of these `comiss+` is ours and `timmil` our reading of a paper that could not be opened; the others
are as published, defects corrected unless an option asks for them.
"""


def new_method(name: str, spec: Spec, options: Mapping[str, JsonValue] | None = None) -> Method:
    """A method with fresh weights.

    Args:
        name: Key in `METHODS`.
        spec: What it reads.
        options: Its options by name; defaults for those left out.

    Raises:
        MethodError: There is no such method or option, or a value is not among those allowed.
    """
    chosen = checked_options(name, options)
    return METHODS[name](spec, chosen)


def checked_options(name: str, options: Mapping[str, JsonValue] | None = None) -> MethodOptions:
    """The options of a method, held to what it allows.

    Raises:
        MethodError: There is no such method or option, or a value is not among those allowed.
    """
    if name not in METHODS:
        raise MethodError(
            f"there is no method {name!r}", expected=" or ".join(METHODS), todo="choose one of these"
        )
    kind = METHODS[name].options_type
    try:
        return TypeAdapter(kind).validate_python(dict(options or {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise MethodError(
            f"option {'.'.join(str(part) for part in first['loc'])} of {name}: {first['msg']}",
            expected=f"one of the options {', '.join(field.name for field in fields(kind))}, with a value "
            f"that the docstring of {kind.__name__} allows",
            todo="correct it",
        ) from error


__all__ = ["ABLATIONS", "METHODS", "Losses", "Method", "MethodOptions", "checked_options", "new_method"]
