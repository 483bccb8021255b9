"""An assessment as files: Markdown to read, CSV to reckon with, a figure to show."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from geocomiss.accuracy.figure import write_figure
from geocomiss.accuracy.reference import USED
from geocomiss.accuracy.request import (
    FEWEST_IN_PART,
    HOLDS,
    RARE,
    Assessment,
    ClassFigures,
    Estimate,
    Figures,
)
from geocomiss.errors import MapError, unwritable
from geocomiss.maps import AREA_NOTE

REPORT: Final = "assessment.md"
FIGURE: Final = "assessment.png"
MAPPED_ONLY: Final = f"mapped area only (fewer than {FEWEST_IN_PART} points)"
FILES: Final = (
    REPORT, FIGURE, "classes.csv", "confusion.csv", "confusion_area.csv", "modalities.csv", "districts.csv",
    "points.csv",
)  # fmt: skip
"""Everything that may be written."""
Row = Sequence[object]


def check_out(folder: Path, overwrite: bool) -> None:
    """Refuse a folder in which something would be lost; ask before a long count.

    Raises:
        MapError: It holds something, and `overwrite` is not set; or it is a file.
    """
    if folder.is_file():
        raise MapError(f"{folder} is a file", expected="a folder for the report", todo="choose another --out")
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if held and not (overwrite and held <= set(FILES)):
        raise MapError(
            f"{folder} exists already" + ("" if held <= set(FILES) else " and holds more than an assessment"),
            expected="a new folder for the report",
            todo="choose another --out" + (", or give --overwrite" if held <= set(FILES) else ""),
        )


def write_assessment(found: Assessment, folder: Path) -> tuple[Path, ...]:
    """Write the report, its tables and the figure.

    Returns:
        The files.

    Raises:
        MapError: The folder cannot be written.
    """
    tables: dict[str, tuple[Row, Iterable[Row]]] = {
        "classes.csv": _classes(found.whole),
        "confusion.csv": _matrix(found, found.matrix.tolist()),
        "confusion_area.csv": _matrix(found, found.matrix_share.round(6).tolist()),
        "modalities.csv": _parts(found.patterns, "modalities"),
        "points.csv": _points(found),
    }
    if found.districts:
        tables["districts.csv"] = _parts(found.districts, "district")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        for name, (heading, rows) in tables.items():
            with (folder / name).open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([heading, *rows])
        (folder / REPORT).write_text(markdown(found), encoding="utf-8")
        write_figure(found, folder / FIGURE)
    except OSError as error:
        raise unwritable(folder, error) from error
    return tuple(folder / name for name in FILES if name in {*tables, REPORT, FIGURE})


def _classes(whole: Figures) -> tuple[Row, Iterable[Row]]:
    return ("class", *_COLUMNS), [(each.name, *_cells(each)) for each in whole.classes]


_COLUMNS: Final = (
    "mapped_ha", "points_mapped", "points_reference", "users", "users_se", "producers", "producers_se", "f1",
    "f1_se", "area_ha", "area_se", "area_low", "area_high", "interval", "normal_low", "normal_high",
    "cautious_low", "cautious_high", "normal_coverage", "cautious_coverage",
)  # fmt: skip


def _cells(each: ClassFigures) -> Row:
    """Cells of `_COLUMNS`; empty where nothing is known."""
    accuracies = [part for one in (each.users, each.producers, each.f1) for part in _pair(one)]
    area: list[object] = [""] * 11
    if each.area:
        held = each.area.coverage or ("", "")
        ends = (*each.area.interval, each.area.advised, *each.area.normal, *each.area.cautious)
        area = [each.area.hectares, each.area.se, *ends, *held]
    cells = [each.mapped_ha, each.mapped_points, each.reference_points, *accuracies, *area]
    return [round(cell, 6) if isinstance(cell, float) else cell for cell in cells]


def _pair(one: Estimate) -> tuple[object, object]:
    """Value and standard error, '' where unknown."""
    return tuple("" if each is None or math.isnan(each) else each for each in (one.value, one.se))  # type: ignore[return-value]


def _matrix(found: Assessment, cells: list[list[float]]) -> tuple[Row, Iterable[Row]]:
    names = [each.name for each in found.whole.classes]
    return ("map \\ reference", *names), [(name, *row) for name, row in zip(names, cells, strict=True)]


def _parts(parts: tuple[Figures, ...], what: str) -> tuple[Row, Iterable[Row]]:
    """A row per part and class; parts of few points with their mapped area only."""
    heading = (what, "points", "overall", "overall_se", "note", "class", *_COLUMNS)
    rows = []
    for part in parts:
        for each in part.classes:
            cells = list(_cells(each))
            overall, note = _pair(part.overall), ""
            if not part.enough:
                overall, note = ("", ""), MAPPED_ONLY
                cells[3:] = [""] * len(cells[3:])
            rows.append((part.name, part.points, *overall, note, each.name, *cells))
    return heading, rows


def _points(found: Assessment) -> tuple[Row, Iterable[Row]]:
    heading = ("id", "lat", "lon", "label", "reference", "mapped", "modalities", "status")
    return heading, [
        (p.id, round(p.lat, 7), round(p.lon, 7), p.label, p.reference, p.mapped, p.modalities, p.status)
        for p in found.points
    ]


def markdown(found: Assessment) -> str:
    """The report as Markdown."""
    used = sum(point.status == USED for point in found.points)
    parts = [
        f"# Assessment of {found.map}",
        f"{used} of {len(found.points)} reference points of {found.reference} are used. {_design(found)}",
        *(f"**Warning:** {warning}." for warning in found.warnings),
        *(f"Note: {note}." for note in found.notes),
        f"Overall accuracy: **{worded(found.whole.overall)}**",
        "## Classes",
        _table(*_class_rows(found)),
        _interval_words(found),
        f"![Confusion and areas]({FIGURE})",
        "## Confusion: points (rows map, columns reference)",
        _table(*_matrix(found, found.matrix.tolist())),
        f"## Confusion: share of the {'area' if found.design else 'points'}, % (rows map, columns reference)",
        _table(*_matrix(found, (100 * found.matrix_share).round(2).tolist())),
        "## By modalities used",
        _table(*_part_rows(found.patterns, "modalities")),
    ]
    if found.districts:
        parts += ["## By district", _table(*_district_rows(found))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _design(found: Assessment) -> str:
    if found.design is None:
        return (
            "They are **not a probability sample**: accuracies are those of the points, not of the map; "
            "neither their errors nor areas can be told."
        )
    strata = "" if found.strata == "none" else f", strata: {found.strata}"
    return (
        f"Design: {found.design}{strata}. Estimates after Stehman (2014) and Olofsson et al. (2014); "
        "± is 1.96 standard errors; ± ? where all points agree, so that they cannot tell."
    )


def worded(one: Estimate, digits: int = 3) -> str:
    """'0.873 ± 0.024', '1.000 ± ?' where points do not differ, '-' where there is none."""
    if math.isnan(one.value):
        return "-"
    error = f"{1.96 * one.se:.{digits}f}" if one.se else "?"
    return f"{one.value:.{digits}f}" + ("" if one.se is None else f" ± {error}")


def _class_rows(found: Assessment) -> tuple[Row, Iterable[Row]]:
    areas = ("area, ha", "95 % interval, ha", "interval", "the normal one holds") if found.design else ()
    heading = (
        "class", AREA_NOTE.replace("mapped area", "mapped ha"), *areas, "user's", "producer's", "F1",
        "points mapped", "points reference",
    )  # fmt: skip
    rows: list[Row] = []
    for each in found.whole.classes:
        middle: tuple[str, ...] = ("",) * len(areas)
        if each.area:
            low, high = each.area.interval
            held = f"{each.area.coverage[0]:.0%}" if each.area.coverage else "-"
            middle = (f"{each.area.hectares:,.1f}", f"{low:,.1f} to {high:,.1f}", each.area.advised, held)
        accuracies = (worded(one) for one in (each.users, each.producers, each.f1))
        ends = (*accuracies, each.mapped_points, each.reference_points)
        rows.append((each.name, f"{each.mapped_ha:,.1f}", *middle, *ends))
    return heading, rows


def _interval_words(found: Assessment) -> str:
    if not found.design:
        return ""
    return (
        "The *normal* interval is the estimate ± 1.96 standard errors (Olofsson et al. 2014), too short "
        "for rare classes: *the normal one holds* says how often it would contain the true area in simulated "
        f"samples like this one (it should be 95 %). Where a class takes under {RARE:.0%} of the area, or "
        f"the normal interval holds in under {HOLDS:.0%}, the *cautious* interval is given: beta quantiles, "
        "with one point more at either end, where it weighs most (after Fay and Feuer 1997). `classes.csv` "
        "has both."
    )


def _part_rows(parts: tuple[Figures, ...], what: str) -> tuple[Row, Iterable[Row]]:
    rows = [
        (
            part.name,
            f"{part.mapped_ha:,.1f}",
            part.points,
            worded(part.overall) if part.enough else MAPPED_ONLY,
        )
        for part in parts
    ]
    return (what, "mapped ha", "points", "overall accuracy"), rows


def _district_rows(found: Assessment) -> tuple[Row, Iterable[Row]]:
    heading, rows = _part_rows(found.districts, "district")
    names = [each.name for each in found.whole.classes]
    cells = [tuple(_district_cell(each) for each in part.classes) for part in found.districts]
    titles = (f"{name}, ha" for name in names)
    return (*heading, *titles), [(*row, *more) for row, more in zip(rows, cells, strict=True)]


def _district_cell(each: ClassFigures) -> str:
    if each.area is None:
        return f"{each.mapped_ha:,.1f} (mapped)"
    low, high = each.area.interval
    return f"{each.area.hectares:,.1f} ({low:,.1f} to {high:,.1f})"


def _table(heading: Row, rows: Iterable[Row]) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)
