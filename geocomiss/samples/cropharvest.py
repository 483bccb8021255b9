"""The CropHarvest data set as its authors publish it: `labels.geojson` and an `.h5` file a point.

`features/arrays/{index}_{dataset}.h5` holds `array` (12, 18), time-major: VV VH, eleven bands of
Sentinel-2 L1C, temperature (K), precipitation (m a day), elevation (m), slope (degrees) and a column
called NDVI. That column is (B7 - B3) / (B7 + B3), because the set's bands were looked up in a list
shorter than the array; it is read as stored, and the recipe `cropharvest` says so. The set has no gaps:
its authors filled them with the mean over the year.

Points come in the order of the authors: crops first, then the rest, each in the order of
`labels.geojson`; test points and points without a file are left out. Labels: `classification_label`
(ten classes; "multi") or `is_crop` ("binary").

N samples, T = 12 steps of 30 days, C = 18 channels.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.modalities import MODALITIES, NDVI
from geocomiss.recipes import RECIPES
from geocomiss.samples import h5
from geocomiss.samples.contents import Contents
from geocomiss.samples.files import unreadable
from geocomiss.samples.folds import authors_folds, automatic_groups
from geocomiss.samples.series import series_of
from geocomiss.samples.steps import Steps, thirty_day_steps
from geocomiss.seasons import DAYS_30

LABELS: Final = "labels.geojson"
ARRAYS: Final = Path("features") / "arrays"
STEPS: Final = 12
CHANNELS: Final = (
    *MODALITIES["radar"].band_names,
    *(name for name in MODALITIES["optical"].band_names if name != NDVI),
    *MODALITIES["weather"].band_names,
    *MODALITIES["topography"].band_names,
    NDVI,
)
"""The 18 channels of `array`, in order."""
CROP: Final = ("non_crop", "crop")
"""Names of `is_crop` 0 and 1."""
TEXTS: Final = ("dataset", "label", "classification_label", "collection_date", "export_end_date")
"""Properties that become columns."""

Property = dict[str, Any]
"""One point's properties."""


def recognise(path: Path) -> bool:
    """Whether a folder holds the labels of CropHarvest."""
    return path.is_dir() and (path / LABELS).is_file()


def read(root: Path) -> Contents:
    """Read the whole set; quickly from the second time on (see `h5.read_arrays`).

    Columns besides the properties: `year` of collection, `identifier`, and the authors' folds 0..9
    (`fold` among the points with a `classification_label`, -1 for the others; `fold_binary` among all).

    Raises:
        SampleError: Labels or arrays are missing or damaged.
    """
    text, points = _points(root)
    names, arrays = h5.read_arrays(root / ARRAYS, (STEPS, len(CHANNELS)))
    places = {name: place for place, name in enumerate(names)}
    kept = [point for point in points if point["identifier"] in places]
    if not kept:
        raise _unusable(
            root, f"has {len(points)} points for training and {len(names)} arrays, none in common"
        )
    for point in kept:
        _check(root, point)
    cube = arrays[[places[point["identifier"]] for point in kept]]  # (N, T, C)
    values, bands = series_of(root, cube, CHANNELS)
    lat, lon = (np.array([point[key] for point in kept], np.float64) for key in ("lat", "lon"))
    group, size = automatic_groups(lat, lon)
    digest = hashlib.sha256(text)
    digest.update(cube.tobytes())
    return Contents(
        root.resolve().name, digest.hexdigest(), values, bands, _steps(kept), lat, lon, _columns(kept),
        RECIPES["cropharvest"], group=group, grouped_by=f"cells of {size:g} degrees",
    )  # fmt: skip


def _points(root: Path) -> tuple[bytes, list[Property]]:
    """The labels file, and the points that are not for testing, crops first."""
    path = root / LABELS
    try:
        text = path.read_bytes()
        points = [_known(feature["properties"]) for feature in json.loads(text)["features"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(path, error) from error
    training = [point for point in points if str(point.get("is_test")).lower() not in ("true", "1")]
    return text, sorted(training, key=lambda point: not point["is_crop"])  # stable


def _known(point: Property) -> Property:
    """With a file's stem as identifier and a whole number as `is_crop`.

    Raises:
        KeyError, TypeError, ValueError: One of these properties is missing or no such.
    """
    identifier = f"{int(point['index'])}_{point['dataset']}"
    return point | {"is_crop": int(point["is_crop"]), "identifier": identifier}


def _check(root: Path, point: Property) -> None:
    """Raises SampleError where a point has no date or place."""
    try:
        date.fromisoformat(str(point["export_end_date"])[:10])
        if not (abs(float(point["lat"])) <= 90 and abs(float(point["lon"])) <= 180):
            raise ValueError(f"it lies at {point['lat']}, {point['lon']} degrees")
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(root, f"has a point {point['identifier']} without date or place ({error})") from error


def _steps(points: Iterable[Property]) -> Steps:
    """Twelve steps of 30 days that end on 1 February of the year of `export_end_date`."""
    years = [str(point["export_end_date"])[:4] for point in points]
    ends: NDArray[np.datetime64] = np.array([f"{year}-02-01" for year in years], "datetime64[D]")
    return thirty_day_steps(ends - np.timedelta64(STEPS * DAYS_30.days, "D"), STEPS)


def _columns(points: list[Property]) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {
        name: np.array([str(point.get(name) or "") for point in points], np.str_) for name in TEXTS
    }
    columns["is_crop"] = np.array(CROP)[[point["is_crop"] for point in points]]
    columns["identifier"] = np.array([point["identifier"] for point in points], np.str_)
    columns["year"] = np.array([text[:4] for text in columns["collection_date"]], np.str_)
    classed = columns["classification_label"] != ""
    columns["fold"] = np.full(len(points), -1)
    columns["fold"][classed] = authors_folds(int(classed.sum()))
    columns["fold_binary"] = authors_folds(len(points))
    return columns


def _unusable(root: Path, why: str) -> SampleError:
    return SampleError(
        f"the CropHarvest folder {root} {why}",
        expected=f"{LABELS} and {ARRAYS}/INDEX_DATASET.h5",
        todo=f"get them with `geocomiss data cropharvest --root {root}`",
    )
