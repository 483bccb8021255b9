"""Labelled pixel series: what methods are trained on and judged by."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.recipes import Recipe
from geocomiss.samples.columns import labels_of, target_of
from geocomiss.samples.contents import Contents
from geocomiss.samples.folds import automatic_groups
from geocomiss.samples.legend import Legend
from geocomiss.samples.readers import read_contents
from geocomiss.samples.season import cut_to_season
from geocomiss.samples.series import torn
from geocomiss.samples.stored import write_samples
from geocomiss.samples.table import Samples
from geocomiss.seasons import Calendar, Cycle, parse_season, read_season
from geocomiss.wording import plain

SIMULATED: Final = "simulated"
"""Name that stands for samples of the simulated world."""


@dataclass(frozen=True)
class SampleRequest:
    """Which samples to read, and how."""

    path_or_name: str
    """A table of a kind in `READERS`, or 'simulated'."""
    label: str | None
    """Column that holds the labels, 'label' in the simulated world; None where only series matter."""
    legend: Legend | None
    """Merges labels into classes; None keeps them as they are."""
    recipe: Recipe
    """How the values were made, where the table does not state it."""
    group: str | None = None
    """Column whose values are spatial groups; None takes cells of a global grid."""
    n: int = 4000
    """Number of simulated samples."""
    sim_seed: int = 0
    """Seed of the simulated world."""
    season: str | None = None
    """See `seasons.read_season`: cuts a table with more steps to a period; None keeps all."""
    cycle: Cycle | None = None
    """Steps of a model that the season must fit; None: those of the table's recipe."""
    parity: bool = False
    """Whether filled-in steps are kept as the papers do (see `Recipe.screened`)."""
    target: str | None = None
    """Numeric column to predict by regression; takes the place of `label` and `legend`."""


def read_samples(request: SampleRequest) -> Samples:
    """Read labelled samples.

    Raises:
        SampleError: The table cannot be used: see the message.
    """
    if request.path_or_name == SIMULATED:
        samples = _simulated(request)
    else:
        samples = _from_table(read_contents(Path(request.path_or_name)), request)
    if request.group is not None:
        samples = _grouped(samples, request.group)
    if request.parity:
        samples = replace(samples, recipe=replace(samples.recipe, screened=False))
    if samples.target is not None:
        return _valued(samples, samples.target)
    return samples if request.label is None else _classed(samples, request.legend)


def _simulated(request: SampleRequest) -> Samples:
    # inside: the simulated world needs Dask and xarray, tables do not
    from geocomiss.samples.simulated import simulated_samples

    for value, default, option in (
        (request.label or "label", "label", "label"),
        (request.season, None, "season"),
        (request.target, None, "target"),
    ):
        if value != default:
            raise SampleError(
                f"simulated samples have no column or choice of {option} {value!r}",
                expected="their crops as labels, each sample in a season of its own",
                todo=f"leave --{option} out",
            )
    return simulated_samples(request.n, request.sim_seed, request.recipe)


def _from_table(contents: Contents, request: SampleRequest) -> Samples:
    """Choose the label and the season, and complete what the table does not say."""
    if request.season is not None:
        contents = cut_to_season(contents, _season(contents, request.season, request))
    group, grouped_by = contents.group, contents.grouped_by
    if group is None:
        group, size = automatic_groups(contents.lat, contents.lon)
        grouped_by = f"cells of {size:g} degrees"
    labels, target = _wanted(contents, request)
    return Samples(
        name=contents.name,
        sha256=contents.sha256,
        values=contents.values,
        bands=contents.bands,
        labels=labels,
        lat=contents.lat,
        lon=contents.lon,
        group=group,
        months=contents.steps.months,
        years=contents.steps.years,
        columns=contents.columns,
        recipe=contents.recipe or request.recipe,
        recipe_stated=contents.recipe is not None and contents.recipe_stated,
        simulated=contents.simulated,
        grouped_by=grouped_by,
        starts=contents.steps.starts,
        ends=contents.steps.ends,
        counts=contents.counts,
        notes=(*contents.notes, *torn(contents.values, contents.bands)),
        target=target,
    )


def _wanted(
    contents: Contents, request: SampleRequest
) -> tuple[NDArray[np.str_], NDArray[np.float64] | None]:
    """Labels (N,) and no target, or empty labels and a target (N,)."""
    name, columns = contents.name, contents.columns
    none = np.full(len(contents), "", np.str_)
    if request.target is None:
        return (none if request.label is None else labels_of(name, columns, request.label)), None
    if request.legend is not None:
        raise SampleError(
            f"the legend {request.legend.name} and the target {request.target}",
            expected="a legend with labels, none with numbers",
            todo="leave --legend out, or give a column of labels with --label",
        )
    return none, target_of(name, columns, request.target)


def _season(contents: Contents, text: str, request: SampleRequest) -> Calendar:
    if request.cycle is not None:
        return parse_season(text, request.cycle)
    return read_season(text, (contents.recipe or request.recipe).cycle)


def _grouped(samples: Samples, key: str) -> Samples:
    """The same samples with the values of a column as spatial groups."""
    if key not in samples.columns:
        raise SampleError(
            f"{samples.name} has no column {key!r}",
            expected=f"one of {', '.join(samples.columns)}",
            todo="correct --group, or leave it out to group by cells",
        )
    return replace(samples, group=samples.columns[key].astype(np.str_), grouped_by=f"column {key}")


def _classed(samples: Samples, legend: Legend | None) -> Samples:
    """Labels to classes; samples without one are left out, and that is said.

    Raises:
        SampleError: Fewer than two classes are left, or more than fit into a map.
    """
    labels = samples.labels
    classes, kept = legend.translate(labels) if legend else (labels, labels != "")
    names = sorted(set(classes[kept].tolist()))
    if len(names) < 2 or len(names) > 254:
        rule = f" after {legend.name}" if legend else ""
        if not len(samples):
            raise SampleError(f"{samples.name} is empty", expected="labelled samples", todo="check --samples")
        found = sorted(set(labels.tolist()))
        shown = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
        raise SampleError(
            f"{samples.name} has {len(names)} class{'es' if len(names) != 1 else ''}{rule} (labels {shown})",
            expected="2 to 254 classes",
            todo="check --label" + (" and --legend" if legend else ", or merge labels with --legend"),
        )
    notes = [*_left_out(labels, kept, legend), *_alike(classes)]
    return replace(samples, labels=classes, notes=(*samples.notes, *notes)).take(kept)


def _left_out(labels: NDArray[np.str_], kept: NDArray[np.bool_], legend: Legend | None) -> list[str]:
    """What is said of samples (N,) that are not learnt from."""
    unlabelled, unnamed = int((labels == "").sum()), ~kept & (labels != "")
    notes = [f"{unlabelled} samples without a label were left out"] if unlabelled else []
    if legend and unnamed.any():
        which = ", ".join(sorted(set(labels[unnamed].tolist()))[:8])
        notes.append(f"{int(unnamed.sum())} samples were left out: {legend.name} has no class for {which}")
    return notes


def _alike(labels: NDArray[np.str_]) -> list[str]:
    """What is said of classes whose names differ in spelling alone, among labels (N,)."""
    ways: dict[str, list[str]] = {}
    for label in sorted(set(labels.tolist()) - {""}):
        ways.setdefault(plain(label), []).append(label)
    several = [" and ".join(map(repr, each)) for each in ways.values() if len(each) > 1]
    told = f"labels that differ in spelling alone are classes of their own: {', '.join(several)}"
    return [f"{told}; merge them with --legend"] if several else []


def _valued(samples: Samples, target: NDArray[np.float64]) -> Samples:
    """Samples with a value of the target; the others are left out, and that is said."""
    known = np.isfinite(target)
    if known.all():
        return samples
    note = f"{int((~known).sum())} samples without a value of the target were left out"
    return replace(samples, notes=(*samples.notes, note)).take(known)


__all__ = ["SIMULATED", "Legend", "SampleRequest", "Samples", "read_samples", "write_samples"]
