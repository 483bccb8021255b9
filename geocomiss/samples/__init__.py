"""Labelled pixel series: what methods are trained on and judged by."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from geocomiss.errors import SampleError
from geocomiss.recipes import Recipe
from geocomiss.samples.folds import automatic_groups
from geocomiss.samples.legend import Legend
from geocomiss.samples.npz import columns_of, labels_of, read_arrays, values_of
from geocomiss.samples.table import Samples

SIMULATED: Final = "simulated"
"""Name that stands for samples of the simulated world."""


@dataclass(frozen=True)
class SampleRequest:
    """Which samples to read, and how."""

    path_or_name: str
    """An `.npz` file, or 'simulated'."""
    label: str
    """Column that holds the labels; 'label' in the simulated world."""
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


def read_samples(request: SampleRequest) -> Samples:
    """Read labelled samples.

    Raises:
        SampleError: The table cannot be used: see the message.
    """
    if request.path_or_name == SIMULATED:
        # inside: the simulated world needs Dask and xarray, tables do not
        from geocomiss.samples.simulated import simulated_samples

        if request.label != "label":
            raise SampleError(
                f"simulated samples have no column {request.label!r}",
                expected="--label label, their crops",
                todo="leave --label out",
            )
        samples = simulated_samples(request.n, request.sim_seed, request.recipe)
        if request.group is not None:
            samples = _grouped(samples, request.group)
    else:
        samples = _read_npz(Path(request.path_or_name), request)
    return _classed(samples, request.legend)


def _read_npz(path: Path, request: SampleRequest) -> Samples:
    if not path.is_file():
        raise SampleError(
            f"there is no samples table {path}",
            expected=f"an .npz file, or {SIMULATED!r}",
            todo="check --samples",
        )
    arrays, sha256 = read_arrays(path)
    labels = labels_of(path, arrays, request.label)
    values, bands, steps = values_of(path, arrays)
    group, size = automatic_groups(arrays["lat"], arrays["lon"])
    samples = Samples(
        name=path.stem,
        sha256=sha256,
        values=values,
        bands=bands,
        labels=labels,
        lat=arrays["lat"].astype(np.float64),
        lon=arrays["lon"].astype(np.float64),
        group=group,
        months=steps.months,
        years=steps.years,
        columns=columns_of(arrays),
        recipe=request.recipe,
        recipe_stated=False,
        grouped_by=f"cells of {size:g} degrees",
    )
    return samples if request.group is None else _grouped(samples, request.group)


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
    """Labels to classes; samples without one are left out.

    Raises:
        SampleError: Fewer than two classes are left, or more than fit into a map.
    """
    labels = samples.labels
    classes, kept = legend.translate(labels) if legend else (labels, labels != "")
    names = sorted(set(classes[kept].tolist()))
    if len(names) < 2 or len(names) > 254:
        rule = f" after {legend.name}" if legend else ""
        found = ", ".join(sorted(set(labels.tolist()))[:8])
        raise SampleError(
            f"{samples.name} has {len(names)} classes{rule} (labels {found}, ...)",
            expected="2 to 254 classes",
            todo="check --label" + (" and --legend" if legend else ", or merge labels with --legend"),
        )
    return replace(samples, labels=classes).take(kept)


__all__ = ["SIMULATED", "Legend", "SampleRequest", "Samples", "read_samples"]
