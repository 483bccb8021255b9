"""Who is compared: the methods, their ablations, and what users would pick instead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final, Literal

from pydantic import JsonValue

from geocomiss.errors import MethodError
from geocomiss.methods import METHODS, begins_from_weights, check_weights_given, checked_options

ALL: Final = "all"
"""Name that stands for every method and every baseline that can be run."""

PROBES: Final = {f"{name}-probe": name for name in METHODS if begins_from_weights(name)}
"""Pretrained methods with a frozen encoder, by name of the line; the method itself is fine-tuned."""

NOTES: Final = {
    "galileo": "begins from weights that others trained; galileo-probe trains a linear layer only",
    "anysat": "begins from weights that others trained; anysat-probe trains a linear layer only; reads "
    "optical and radar only",
    "timmil": "our reading of a paper of which only the title could be opened",
    "comiss+": "ours, from the poster's parts",
}
"""What a reader of a table must know of a method."""


@dataclass(frozen=True)
class Contender:
    """One line of a comparison."""

    key: str
    """Unique and good as a folder's name."""
    title: str
    """Shown in tables."""
    method: str
    """Key in `METHODS` or in the table of baselines."""
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    """Options of the method."""
    kind: Literal["method", "baseline"] = "method"
    """Whether it is one of ours or what users would pick instead."""


def contenders_of(
    names: Sequence[str], options: Mapping[str, JsonValue], weights: Mapping[str, str] | None = None
) -> tuple[Contender, ...]:
    """The contenders named, each with those of the given options that it has.

    Args:
        names: Keys of methods, or 'all'; a method that begins from weights is in 'all' where they are
            given, fine-tuned and as a probe.
        options: Options by name.
        weights: Path of the pretrained weights, by method.

    Raises:
        MethodError: There is no such method, one is named twice, no method has an option, or weights
            are not given or of no use.
        CheckpointError: There are no weights at a path.
    """
    weights = weights or {}
    wanted = [each for name in names for each in (_all(weights) if name.strip() == ALL else [name.strip()])]
    if twice := sorted({name for name in wanted if wanted.count(name) > 1}):
        raise MethodError(f"{', '.join(twice)} named twice", expected="each once", todo="correct --methods")
    contenders = tuple(method_contender(name, options, weights) for name in wanted)
    _check_used(options, contenders)
    if useless := sorted(set(weights) - {each.method for each in contenders}):
        raise MethodError(
            f"weights for {', '.join(useless)}, which takes no part",
            expected="weights of methods that are compared",
            todo="correct --weights or --methods",
        )
    return contenders


def method_contender(
    name: str, options: Mapping[str, JsonValue], weights: Mapping[str, str] | None = None
) -> Contender:
    """A method with the options it has of those given (`preset`, say, or what --option names).

    Args:
        name: Key of a method, or of a probe.
        options: Options by name.
        weights: Path of the pretrained weights, by method.

    Raises:
        MethodError: There is no such method, an option has a value that is not allowed, or a method
            that begins from weights has none.
        CheckpointError: There are no weights at a path.
    """
    method = PROBES.get(name, name)
    if method not in METHODS:
        known = " or ".join([*METHODS, *PROBES])
        raise MethodError(f"there is no method {name!r}", expected=known, todo="choose one of these")
    have = {each.name for each in fields(METHODS[method].options_type)}
    own = {option: value for option, value in options.items() if option in have}
    if weights and method in weights:
        own["weights"] = weights[method]
    if name in PROBES:
        own["freeze"] = True
    check_weights_given(method, own)
    checked_options(method, own)
    return Contender(name, name, method, own)


def _all(weights: Mapping[str, str]) -> list[str]:
    """Every method that can be run, and the probes of those that begin from weights."""
    usable = [name for name in METHODS if name in weights or not begins_from_weights(name)]
    return [*usable, *(probe for probe, method in PROBES.items() if method in weights)]


def _check_used(options: Mapping[str, JsonValue], contenders: tuple[Contender, ...]) -> None:
    """Refuse an option that none of the contenders has: it would be ignored.

    Raises:
        MethodError: There is one.
    """
    used = {name for each in contenders for name in each.options}
    if unused := sorted(set(options) - used):
        raise MethodError(
            f"no method compared here has the option {', '.join(unused)}",
            expected="options that at least one of the methods has",
            todo="correct --option",
        )
