"""Checks of values that options share: wrong ones are said as wrong usage."""

import re
from collections.abc import Iterable
from typing import Final, Literal, cast, get_args

import typer

from geocomiss.modalities import IMAGING, MODALITIES
from geocomiss.recipes import RECIPES

NONE: Final = "none"

Mismatch = Literal["refuse", "drop", "allow"]
"""What happens with a modality that was not made as the model wants it."""
Numbers = Literal["auto", "float32", "bfloat16"]
"""What encoders compute with."""

RadarPass = Literal["auto", "asc", "desc", "both"]
"""Sentinel-1 passes to use."""
StackFormat = Literal["zarr", "cog"]
"""What `geocomiss fetch` writes."""


def modality_named(name: str) -> str:
    """The name itself, where it is a modality. Raises typer.BadParameter where it is none."""
    if name not in MODALITIES:
        raise typer.BadParameter(f"{name!r} is no modality; choose from {', '.join(MODALITIES)}.")
    return name


def check_modalities(entries: list[str] | None) -> list[str]:
    """Hold a repeatable option to modalities, also with commas, each once."""
    names = (name.strip() for entry in entries or () for name in entry.split(","))
    return list(dict.fromkeys(modality_named(name) for name in names))


def check_required(text: str) -> str:
    """Hold `--require` to modalities or 'none'."""
    required_of(text)
    return text


def required_of(text: str) -> tuple[str, ...]:
    """'optical,radar' as a tuple; () for 'none'."""
    return () if text == NONE else tuple(modality_named(name.strip()) for name in text.split(","))


def check_min_steps(entries: list[str] | None) -> list[str]:
    """Hold `--min-steps` to NUMBER or MODALITY=NUMBER."""
    min_steps_of(entries or ())
    return entries or []


def min_steps_of(entries: Iterable[str]) -> dict[str, int]:
    """Steps per modality: a bare number means every imaging one, and a named one wins."""
    bare: dict[str, int] = {}
    named: dict[str, int] = {}
    for entry in entries:
        name, _, number = entry.rpartition("=")
        if not number.isdecimal() or int(number) < 1:
            raise typer.BadParameter(f"{entry!r} is neither a number of at least 1 nor MODALITY=NUMBER.")
        if name:
            named[modality_named(name)] = int(number)
        else:
            bare = dict.fromkeys(IMAGING, int(number))
    return bare | named


def check_memory(text: str | None) -> str | None:
    """Hold `--memory` to a number and a unit."""
    memory_of(text)
    return text


def memory_of(text: str | None, tile: int | None = None) -> int | None:
    """'4GB' as bytes; not together with a tile size, which follows from it."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)", text.strip(), re.IGNORECASE)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no size; expected one such as 4GB, 800MB or 2.5GiB.")
    if tile is not None:
        raise typer.BadParameter("--memory decides on the size of tiles: leave --tile or --memory out.")
    number, unit = found.groups()
    base = 1024 if "i" in unit.lower() else 1000
    return int(float(number) * base ** ("KMGT".index(unit[0].upper()) + 1))


def check_scheduler(address: str | None) -> str | None:
    """Refuse an empty `--scheduler`, as of a shell's variable that is not set: nothing would be spread."""
    if address is not None and not address.strip():
        raise typer.BadParameter("it is empty; expected an address such as tcp://host:8786, or no option.")
    return address


def scheduler_of(address: str | None, workers: int) -> str | None:
    """The address itself; not together with processes of this machine."""
    if address and workers:
        raise typer.BadParameter("--workers and --scheduler exclude each other: leave one out.")
    return address


def check_recipe(name: str) -> str:
    """Hold `--recipe` to the table of recipes."""
    if name not in RECIPES:
        raise typer.BadParameter(f"{name!r} is no recipe; choose from {', '.join(RECIPES)}.")
    return name


def check_radar_pass(text: str) -> str:
    """Hold `--s1-pass` to its four values."""
    return radar_pass_of(text)


def radar_pass_of(text: str) -> RadarPass:
    """One of the four values of `--s1-pass`."""
    if text not in get_args(RadarPass):
        raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(RadarPass))}.")
    return cast(RadarPass, text)


def check_on_mismatch(text: str) -> str:
    """Hold `--on-mismatch` to its three values."""
    return on_mismatch_of(text)


def precision_of(text: str) -> Numbers:
    """One of the three values of `--precision`."""
    for known in get_args(Numbers):
        if text == known:
            return cast(Numbers, known)
    raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(Numbers))}.", param_hint="--precision")


def on_mismatch_of(text: str) -> Mismatch:
    """One of the three values of `--on-mismatch`."""
    for known in get_args(Mismatch):
        if text == known:
            return cast(Mismatch, known)
    raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(Mismatch))}.")


def check_fetch_format(text: str) -> str:
    """Hold `--format` to its values."""
    return fetch_format_of(text)


def fetch_format_of(text: str) -> StackFormat:
    """One of the values of `--format`."""
    for known in get_args(StackFormat):
        if text == known:
            return cast(StackFormat, known)
    raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(StackFormat))}.")
