"""Who is compared: the methods, their ablations, and what users would pick instead."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Final, Literal

from pydantic import JsonValue

from geocomiss.benchmarking.baselines import BASELINES, check_baseline, usable_baselines
from geocomiss.errors import MethodError
from geocomiss.methods import (
    ABLATIONS,
    METHODS,
    STUDENTS,
    begins_from_weights,
    check_weights_given,
    checked_options,
    is_student,
    stated_options,
)

ALL: Final = "all"
"""Name that stands for every method and every baseline that can be run."""

PREFERRED: Final = "comiss+"
"""Contender that the others are compared with, where it takes part."""

PROBES: Final = {f"{name}-probe": name for name in METHODS if begins_from_weights(name)}
"""Pretrained methods with a frozen encoder, by name of the line; the method itself is fine-tuned."""

COMPACT: Final = {f"{name}-compact": name for name in STUDENTS}
"""Students by name of the line; the method itself has the size that is asked for."""

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
    names: Sequence[str],
    options: Mapping[str, JsonValue],
    embeddings: bool = False,
    weights: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Contender, ...]:
    """The contenders named, each with those of the given options that it has.

    Args:
        names: Keys of methods and baselines; or 'all' for every method, and every baseline that is
            installed and finds what it reads. Methods that begin from weights
            are among them where theirs are given, fine-tuned and as a probe.
        options: Options of methods by name.
        embeddings: Whether the table has columns of embeddings.
        weights: Path of the pretrained weights, by method.

    Raises:
        MethodError: There is no such method, one is named twice, no method has an option, or weights
            are not given or of no use.
        CheckpointError: There are no weights at a path.
        GeocomissError: A baseline cannot be run: its package or its columns are not there.
    """
    every = (*_usable_methods(weights), *usable_baselines(embeddings))
    wanted = [each for name in names for each in (every if name.strip() == ALL else (name.strip(),))]
    if twice := sorted({name for name in wanted if wanted.count(name) > 1}):
        raise MethodError(f"{', '.join(twice)} named twice", expected="each once", todo="correct --methods")
    for name in wanted:
        if name in BASELINES:
            check_baseline(name, embeddings)
    contenders = tuple(_contender(name, options, weights) for name in wanted)
    _check_used(options, contenders)
    _check_weights_used(weights, contenders)
    return contenders


def reference_of(contenders: Sequence[Contender], wished: str | None = None) -> str:
    """Key of the contender that the others are compared with.

    Raises:
        MethodError: There is no such contender.
    """
    keys = [each.key for each in contenders]
    if wished is not None and wished not in keys:
        raise MethodError(
            f"{wished!r} takes no part in the comparison",
            expected=" or ".join(keys),
            todo="choose one of these with --reference",
        )
    # an ablation or a probe is compared with whole methods, not they with it
    methods = [each.key for each in contenders if each.kind == "method" and each.key == each.method]
    return wished or (PREFERRED if PREFERRED in keys else (methods or keys)[-1])


def with_ablations(contenders: Sequence[Contender]) -> tuple[Contender, ...]:
    """The same contenders, each method followed by itself without one of its parts in turn.

    Raises:
        MethodError: None of them has a part that can be left out.
    """
    every = [each for one in contenders for each in (one, *_ablations(one))]
    if len(every) == len(contenders):
        raise MethodError(
            f"no parts to leave out of {', '.join(each.key for each in contenders)}",
            expected=f"one of {', '.join(ABLATIONS)}",
            todo="name one of these with --methods, or leave --ablate out",
        )
    return tuple(every)


def _ablations(whole: Contender) -> Iterator[Contender]:
    if is_student(whole.options):  # what it learns from is not its own loss
        return
    for title, changes in ABLATIONS.get(whole.method, {}).items():
        options = {**whole.options, **changes}
        if stated_options(whole.method, options) == stated_options(whole.method, whole.options):
            continue  # the user left this part out already
        key = f"{whole.key}_{'-'.join(title.replace('/', ' ').split())}"
        yield Contender(key, f"{whole.title} {title}", whole.method, options)


def _contender(name: str, options: Mapping[str, JsonValue], weights: Mapping[str, str]) -> Contender:
    """A baseline, or a method with the options it has of those given."""
    if name in BASELINES:
        return Contender(name, BASELINES[name].title, name, kind="baseline")
    method = {**PROBES, **COMPACT}.get(name, name)
    if method not in METHODS:
        raise MethodError(
            f"there is no method {name!r}",
            expected=" or ".join((*METHODS, *COMPACT, *PROBES, *BASELINES, ALL)),
            todo="choose some of these, joined by commas",
        )
    known = {each.name for each in fields(METHODS[method].options_type)}
    own = {option: value for option, value in options.items() if option in known}
    own |= {"weights": weights[method]} if method in weights else {}
    own |= {"freeze": True} if name in PROBES else {}
    own |= {"preset": "compact"} if name in COMPACT else {}
    check_weights_given(method, own)
    checked_options(method, own)
    return Contender(name, name, method, own)


def _usable_methods(weights: Mapping[str, str]) -> list[str]:
    """Every method that can be run, and the probes of those that begin from weights."""
    usable = [name for name in METHODS if name in weights or not begins_from_weights(name)]
    return [*usable, *(probe for probe, method in PROBES.items() if method in weights)]


def _check_weights_used(weights: Mapping[str, str], contenders: tuple[Contender, ...]) -> None:
    """Refuse weights that no contender begins from.

    Raises:
        MethodError: There are some.
    """
    if useless := sorted(set(weights) - {each.method for each in contenders}):
        raise MethodError(
            f"weights for {', '.join(useless)}, which takes no part",
            expected="weights of methods that are compared",
            todo="correct --weights or --methods",
        )


def _check_used(options: Mapping[str, JsonValue], contenders: tuple[Contender, ...]) -> None:
    """Refuse an option that none of the contenders has: it would be ignored.

    Raises:
        MethodError: There is one.
    """
    used = {"preset", *(name for each in contenders for name in each.options)}  # baselines have no size
    if unused := sorted(set(options) - used):
        raise MethodError(
            f"no method compared here has the option {', '.join(unused)}",
            expected="options that at least one of the methods has",
            todo="correct --option",
        )
