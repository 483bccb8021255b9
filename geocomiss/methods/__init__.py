"""All methods by name: a new one is a file in this folder and a line in `METHODS`."""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError

from geocomiss.batch import Spec
from geocomiss.errors import MethodError
from geocomiss.methods.ablation import ABLATIONS
from geocomiss.methods.anysat import AnySat
from geocomiss.methods.base import Losses, Method, MethodOptions
from geocomiss.methods.comiss import CoMiss
from geocomiss.methods.comiss_plus import CoMissPlus
from geocomiss.methods.described import described
from geocomiss.methods.dsensd import DSensD
from geocomiss.methods.dsensd_plus import DSensDPlus
from geocomiss.methods.fcom import FCoMAverage
from geocomiss.methods.fullco import FullCo
from geocomiss.methods.galileo import Galileo
from geocomiss.methods.mdico import MDiCo
from geocomiss.methods.pretrained import PretrainedOptions
from geocomiss.methods.students import STUDENTS, is_student, of_teacher, with_student
from geocomiss.methods.timmil import TiMMIL
from geocomiss.methods.unimodal import UniModal
from geocomiss.pretrained.weights import FRESH

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
    "galileo": Galileo,
    "anysat": AnySat,
}
"""All methods by name.

Of these `comiss+` is ours and `timmil` our reading of a paper that could not be opened; the others
are as published, defects corrected unless an option asks for them; `mdico` takes the mean of its
contrastive loss over pairs where the published one is their sum. `galileo` and `anysat` begin from
weights that others trained and a user obtains.
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
    """The options of a method, held to what it allows; of a student, with what it has otherwise.

    Raises:
        MethodError: There is no such method or option, or a value is not among those allowed.
    """
    if name not in METHODS:
        raise MethodError(
            f"there is no method {name!r}", expected=" or ".join(METHODS), todo="choose one of these"
        )
    kind = METHODS[name].options_type
    try:
        return TypeAdapter(kind).validate_python(with_student(name, options or {}))
    except ValidationError as error:
        raise _wrong_option(name, str(error.errors()[0]["loc"][0]), error.errors()[0]["input"]) from error


def _wrong_option(name: str, option: str, value: object) -> MethodError:
    """What to say of an option that a method does not have, or of a value that it cannot have."""
    known = {each.option: each for each in described(METHODS[name].options_type)}
    todo = f"correct it; `geocomiss info {name}` lists all"
    if option in known:
        return MethodError(f"option {option} of {name} is {value}", expected=known[option].allowed, todo=todo)
    if option in ("weights", "freeze"):
        others = [each for each in METHODS if begins_from_weights(each)]
        return MethodError(
            f"{name} begins from no weights of others",
            expected=" or ".join(others),
            todo=f"leave --{option} out",
        )
    near = get_close_matches(option, known, 1)
    return MethodError(
        f"{name} has no option {option}", expected=near[0] if near else ", ".join(known), todo=todo
    )


def check_weights_given(name: str, options: Mapping[str, JsonValue]) -> None:
    """Refuse to train a pretrained method from random weights that nobody asked for.

    Raises:
        MethodError: No weights are given; it says where the user obtains them.
    """
    kind = METHODS[name].options_type
    if issubclass(kind, PretrainedOptions) and "weights" not in options:
        raise MethodError(
            f"{name} begins from weights that others trained, and none are given",
            expected=f"--weights with {kind.published.content}; or '{FRESH}' to begin from random ones",
            todo=f"obtain them from {kind.published.obtain}",
        )


def stated_options(name: str, options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """All options, also those left at their defaults, pretrained weights by their digest, not their path.

    Raises:
        MethodError: There is no such method or option, or a value is not among those allowed.
        CheckpointError: There are no weights at the path.
    """
    checked = checked_options(name, options)
    every = dict(vars(checked))
    return {**every, "weights": checked.stated} if isinstance(checked, PretrainedOptions) else every


def begins_from_weights(name: str) -> bool:
    """Whether a method begins from weights that others trained."""
    return issubclass(METHODS[name].options_type, PretrainedOptions)


def readable_spec(name: str, spec: Spec) -> Spec:
    """What a method reads of what a table has.

    Raises:
        MethodError: It can read none of the modalities.
    """
    known = [each for each in spec.modalities if each in METHODS[name].supported]
    if not known:
        raise MethodError(
            f"{name} cannot read {', '.join(spec.modalities)}",
            expected=f"a table with {' or '.join(METHODS[name].supported)}",
            todo="choose another method or table",
        )
    parts = {each: spec.bands[each] for each in known}
    return replace(spec, bands=parts, min_steps={each: spec.min_steps[each] for each in known})


__all__ = [
    "ABLATIONS",
    "METHODS",
    "STUDENTS",
    "Losses",
    "Method",
    "MethodOptions",
    "begins_from_weights",
    "check_weights_given",
    "checked_options",
    "is_student",
    "new_method",
    "of_teacher",
    "readable_spec",
    "stated_options",
]
