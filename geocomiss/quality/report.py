"""A check of samples as files: Markdown to read, CSV to work through, a figure, a GeoPackage to look at."""

import csv
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from geocomiss.errors import SampleError
from geocomiss.quality.figure import write_figure
from geocomiss.quality.result import CLEAR, Checked

REPORT: Final = "check.md"
FIGURE: Final = "check.png"
SUSPICIOUS: Final = "suspicious.csv"
CLASSES: Final = "classes.csv"
POINTS: Final = "samples.gpkg"
FILES: Final = (REPORT, FIGURE, CLASSES, SUSPICIOUS, POINTS)
"""Everything that is written."""
SHOWN: Final = 20
"""Suspicious labels listed in the report."""
Row = Sequence[object]


def check_out(folder: Path, overwrite: bool) -> None:
    """Refuse a folder in which something would be lost; ask before a long check.

    Raises:
        SampleError: It holds something, and `overwrite` is not set; or it is a file; or it cannot be written.
    """
    if folder.is_file():
        raise SampleError(
            f"{folder} is a file", expected="a folder for the check", todo="choose another --out"
        )
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    ours = held <= set(FILES)
    if held and not (overwrite and ours):
        raise SampleError(
            f"{folder} exists already" + ("" if ours else " and holds more than a check"),
            expected="a new folder for the check",
            todo="choose another --out" + (", or give --overwrite" if ours else ""),
        )
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_check(found: Checked, folder: Path) -> tuple[Path, ...]:
    """Write the report, its tables, the figure and the points; returns the files.

    Raises:
        SampleError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        _write_csv(folder / CLASSES, *_classes(found))
        _write_csv(folder / SUSPICIOUS, *_suspicions(found))
        (folder / REPORT).write_text(markdown(found), encoding="utf-8")
        write_figure(found, folder / FIGURE)
        _write_points(found, folder / POINTS)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return tuple(folder / name for name in FILES)


def _unwritable(folder: Path, error: OSError) -> SampleError:
    return SampleError(
        f"{folder} cannot be written ({error.strerror or error})",
        expected="a writable folder with free space",
        todo="free space or choose another --out",
    )


def markdown(found: Checked) -> str:
    """The report."""
    spread, samples, number = found.spread, found.samples, len(found.suspicions)
    ratio = (
        "" if spread.ratio is None else f", Clark-Evans ratio {spread.ratio:.2f} (1 random, near 0 clustered)"
    )
    lines = [f"# Samples {samples.name}", "", f"{len(samples):,} samples, {len(found.classes)} classes.", ""]
    if found.warnings:
        lines += ["## Warnings", "", *(f"* {each}" for each in found.warnings), ""]
    lines += ["## Classes", "", *_markdown(*_classes(found)), ""]
    lines += [
        "## Labels", "",
        f"**{number:,} of {int(found.judged.sum()):,} labels look wrong, {found.clear:,} of them clearly** "
        f"(another class is more probable by {CLEAR:g}). Confident learning (Northcutt et al. 2021) on "
        f"out-of-fold predictions: {found.protocol}, accuracy {found.accuracy:.3f}. It puts wrong labels at "
        f"{found.confident.noise:.1%}, which is too many wherever the models themselves are wrong: a class "
        f"or a place that they do not know looks the same as a wrong label. Look at them in `{POINTS}` "
        "before changing any.", "",
    ]  # fmt: skip
    if found.suspicions:
        heading, rows = _suspicions(found)
        shown = list(rows)[:SHOWN]
        more = [f"The clearest {SHOWN}; all of them stand in `{SUSPICIOUS}`.", ""] if number > SHOWN else []
        lines += [*more, *_markdown(heading, shown), ""]
    lines += [
        "## Places", "",
        f"* {spread.clusters:,} clusters (samples within 1 km of another hang together); the largest has "
        f"{spread.largest:.0%} of the samples",
        f"* nearest other sample: median {_metres(float(np.median(spread.nearest)))}{ratio}",
        f"* the nearest other sample has the same label at {found.alike:.0%} of the samples, by chance at "
        f"{found.alike_by_chance:.0%}: so much a neighbour gives away",
        f"* spatial groups: {len(set(samples.group.tolist())):,}, by {samples.grouped_by}; "
        f"{found.leaking:.0%} of the samples have one of another group within 1 km", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _classes(found: Checked) -> tuple[Row, Iterable[Row]]:
    heading = (
        "class", "samples", "share", "spatial_groups", "suspicious", "clear", "mostly_looks_like",
        "median_apart_m",
    )  # fmt: skip
    total = len(found.samples)
    return heading, [
        (
            each.name, each.n, f"{each.n / total:.4f}", each.groups, each.suspicious, each.clear,
            each.mistaken_for,
            f"{each.apart:.0f}" if np.isfinite(each.apart) else "",
        )
        for each in found.classes
    ]  # fmt: skip


def _suspicions(found: Checked) -> tuple[Row, Iterable[Row]]:
    heading = ("row", "feature", "label", "looks_like", "p_label", "p_looks_like", "lat", "lon", "group")
    return heading, [
        (
            each.row, each.feature, each.label, each.looks_like, f"{each.p_label:.4f}",
            f"{each.p_looks_like:.4f}", f"{each.lat:.6f}", f"{each.lon:.6f}", each.group,
        )
        for each in found.suspicions
    ]  # fmt: skip


def _markdown(heading: Row, rows: Iterable[Row]) -> list[str]:
    lines = [[str(cell).replace("|", "\\|") for cell in row] for row in (heading, *rows)]
    return [
        f"| {' | '.join(each)} |" + ("\n|" + "---|" * len(heading) if place == 0 else "")
        for place, each in enumerate(lines)
    ]


def _metres(value: float) -> str:
    return f"{value:,.0f} m" if value < 10_000 else f"{value / 1000:,.0f} km"


def _write_csv(path: Path, heading: Row, rows: Iterable[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([heading, *rows])


def _write_points(found: Checked, path: Path) -> None:
    """All samples as points, suspicious ones marked."""
    import geopandas
    import pyogrio

    samples = found.samples
    looks, clear = np.full(len(samples), "", object), np.zeros(len(samples), bool)
    for each in found.suspicions:
        looks[each.row - 1], clear[each.row - 1] = each.looks_like, each.clear
    columns = {
        "row": np.arange(1, len(samples) + 1),
        "label": samples.labels.astype(object),
        "suspicious": looks != "",
        "clear": clear,
        "looks_like": looks,
        "judged": found.judged,
        "p_label": found.p[np.arange(len(samples)), found.y].round(4),
        "group": samples.group.astype(object),
        "fold": found.fold.astype(object),
        "nearest_m": np.where(np.isfinite(found.spread.nearest), found.spread.nearest.round(1), np.nan),
    }
    if "feature" in samples.columns:
        columns["feature"] = samples.columns["feature"]
    places = geopandas.points_from_xy(samples.lon, samples.lat, crs=4326)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.gpkg")
    try:
        geopandas.GeoDataFrame(columns, geometry=places).to_file(
            partial, layer="samples", driver="GPKG", engine="pyogrio"
        )
        partial.replace(path)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        partial.unlink(missing_ok=True)
        raise OSError(str(error).splitlines()[0]) from error
