"""Our own table of samples: Parquet, a row per sample, a fixed-size list per band.

Each band (`VV` ... `slope`) is a list of T float32, NaN missing; what does not change over time is
repeated. `count_optical`, `count_radar` (int16) hold the clear observations behind each step, where
known; `step_start` and `step_end` (dates; the day after the step) its days or, where these are not
known, `month` (1..12, 0 unknown) its month. `label`, `lat`, `lon` and `group` are single values, and
so is every other column. The file's metadata hold JSON: `recipe`, `calendar` and `geocomiss`.

N samples, T steps, C bands.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import RecipeError, SampleError
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import recipe_from
from geocomiss.samples.contents import Contents
from geocomiss.samples.files import sha256_of, unreadable
from geocomiss.samples.parquet import as_column, plain_array, read_columns, schema_of
from geocomiss.samples.series import check_units
from geocomiss.samples.steps import Steps, dated_steps
from geocomiss.samples.table import Samples

FORMAT: Final = 1
"""Version of the layout."""
ABOUT: Final = b"geocomiss"
"""Metadata: format, years, recipe_stated, simulated, grouped_by."""
RECIPE: Final = b"recipe"
CALENDAR: Final = b"calendar"
"""Metadata: the cycle that all samples share, or null."""
COUNT: Final = "count_"
STARTS: Final = "step_start"
ENDS: Final = "step_end"
MONTH: Final = "month"
SINGLE: Final = ("label", "lat", "lon", "group")
BANDS: Final = tuple(band for modality in MODALITIES.values() for band in modality.band_names)
RESERVED: Final = {*BANDS, *SINGLE, STARTS, ENDS, MONTH, *(COUNT + name for name in MODALITIES)}


def write_samples(samples: Samples, path: Path) -> None:
    """Write samples; an existing file is replaced, whole or not at all.

    A column whose name the layout needs is written as `raw_NAME` if it differs from what stands there.

    Args:
        samples: What to write.
        path: Parquet file.

    Raises:
        SampleError: It cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(_series(samples) | _steps(samples) | _singles(samples))
    table = table.replace_schema_metadata(_metadata(samples))
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        # no dictionaries: they hold 0.0 and -0.0 for the same
        pq.write_table(table, partial, compression="zstd", use_dictionary=False)
        partial.replace(path)
    except OSError as error:
        raise SampleError(
            f"the samples cannot be written to {path} ({error.strerror or error})",
            expected="a file in a folder that exists and can be written",
            todo="choose another path",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _metadata(samples: Samples) -> dict[bytes, bytes]:
    """What concerns the whole table, as JSON."""
    about = {
        "format": FORMAT,
        "years": list(samples.years),
        "recipe_stated": samples.recipe_stated,
        "simulated": samples.simulated,
        "grouped_by": samples.grouped_by,
    }
    cycle = samples.cycle
    stated = {ABOUT: about, RECIPE: asdict(samples.recipe), CALENDAR: asdict(cycle) if cycle else None}
    return {key: json.dumps(value, sort_keys=True).encode() for key, value in stated.items()}


def recognise(path: Path) -> bool:
    """Whether a file is Parquet with our metadata."""
    schema = schema_of(path)
    return schema is not None and ABOUT in (schema.metadata or {})


def read(path: Path) -> Contents:
    """Read a table that `write_samples` wrote.

    Raises:
        SampleError: It is damaged, or of another version.
    """
    stated = _stated(path)
    about = stated["about"]
    columns = read_columns(path)
    if missing := [name for name in SINGLE if name not in columns]:
        raise unreadable(path, f"it has no {', '.join(missing)}")
    try:
        values, bands = _read_series(columns)
        steps = _read_steps(columns, tuple(about["years"]))
        counts = {n: _lists(columns[COUNT + n]) for n in MODALITIES if COUNT + n in columns}
        singles = _read_singles(columns)
        lat, lon = (singles[name].astype(np.float64) for name in ("lat", "lon"))
        group = singles["group"].astype(np.str_)
    except (KeyError, ValueError, TypeError) as error:
        raise unreadable(path, error) from error
    check_units(path, values, bands)
    others = {name: column for name, column in singles.items() if name not in ("lat", "lon", "group")}
    return Contents(
        path.stem, sha256_of(path), values, bands, steps, lat, lon, others,
        stated["recipe"], bool(about["recipe_stated"]), group, about["grouped_by"], counts,
        bool(about["simulated"]),
    )  # fmt: skip


def _series(samples: Samples) -> dict[str, Any]:
    """A column per band, and per count."""
    number = samples.months.shape[1]
    columns = {}
    for name, rows in samples.values.items():
        wide = np.broadcast_to(rows, (len(rows), number, rows.shape[2]))
        for place, band in enumerate(samples.bands[name]):
            columns[band] = _listed(wide[..., place].astype(np.float32))
    return columns | {COUNT + name: _listed(rows) for name, rows in samples.counts.items()}


def _steps(samples: Samples) -> dict[str, Any]:
    if samples.starts is None or samples.ends is None:
        return {MONTH: _listed(samples.months.astype(np.int8))}
    return {STARTS: _listed(samples.starts), ENDS: _listed(samples.ends)}


def _singles(samples: Samples) -> dict[str, Any]:
    import pyarrow as pa

    known = {name: getattr(samples, f"{name}s" if name == "label" else name) for name in SINGLE}
    for name, column in samples.columns.items():
        if name not in RESERVED:
            known[name] = column
        elif name not in known or not np.array_equal(column, known[name]):
            known[f"raw_{name}"] = column
    return {name: pa.array(as_column(_text(column))) for name, column in known.items()}


def _text(column: NDArray[Any]) -> NDArray[Any]:
    """Bytes as text; everything else as it is."""
    return np.char.decode(column, "utf-8", "replace") if column.dtype.kind == "S" else column


def _listed(rows: NDArray[Any]) -> Any:
    """(N, T) as a column of lists of T."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(rows).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])


def _lists(column: Any) -> NDArray[Any]:
    """A column of lists of T as (N, T). Raises ValueError where they are not all of one length."""
    import pyarrow as pa

    kind = column.type
    if not pa.types.is_fixed_size_list(kind) or column.null_count:
        raise ValueError(f"a column of {kind} where lists of one length are expected")
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat).reshape(len(column), kind.list_size)


def _read_series(
    columns: Mapping[str, Any],
) -> tuple[dict[str, NDArray[np.float32]], dict[str, tuple[str, ...]]]:
    values, bands = {}, {}
    for modality in MODALITIES.values():
        if found := tuple(name for name in modality.band_names if name in columns):
            rows = np.stack([_lists(columns[name]).astype(np.float32) for name in found], -1)
            values[modality.name] = rows if modality.dynamic else rows[:, :1]
            bands[modality.name] = found
    if not values:
        raise ValueError("it has no band")
    return values, bands


def _read_steps(columns: Mapping[str, Any], years: tuple[int, ...]) -> Steps:
    if STARTS in columns:
        starts, ends = (_lists(columns[name]).astype("datetime64[D]") for name in (STARTS, ENDS))
        return dated_steps(starts, ends)
    return Steps(_lists(columns[MONTH]).astype(np.int64), None, years)


def _read_singles(columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """All columns with one value a sample."""
    arrays = {name: plain_array(column) for name, column in columns.items()}
    return {name: as_column(array) for name, array in arrays.items() if array is not None}


def _stated(path: Path) -> dict[str, Any]:
    """What the metadata say: `about` and the `recipe`."""
    metadata = schema_of(path).metadata
    try:
        about = json.loads(metadata[ABOUT])
        if about["format"] != FORMAT:
            raise ValueError(f"it is of version {about['format']}, not {FORMAT}")
        return {"about": about, "recipe": recipe_from(json.loads(metadata[RECIPE]))}
    except (KeyError, TypeError, ValueError, RecipeError) as error:
        raise unreadable(path, error) from error
