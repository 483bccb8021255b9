"""Columns of Parquet files as arrays. NaN, '' and NaT say "missing"."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.samples.files import begins_with, unreadable

MAGIC: Final = b"PAR1"
"""First bytes of a Parquet file."""
HALF_A_DAY: Final = np.timedelta64(12, "h")


def schema_of(path: Path) -> Any:
    """The `pyarrow.Schema` of a file, or None where it is no Parquet file.

    Raises:
        SampleError: It is damaged.
    """
    if not (path.is_file() and begins_with(path, MAGIC)):
        return None
    import pyarrow as pa  # inside: most tables and commands do without
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error


def read_columns(path: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Some or all columns of a file, as `pyarrow.ChunkedArray`.

    Raises:
        SampleError: It is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=None if names is None else list(names))
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    return dict(zip(table.column_names, table.columns, strict=True))


def plain_array(column: Any) -> NDArray[Any] | None:
    """One value a row as numbers, texts or datetime64[ns] (N,); None for lists and the like."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.asarray(column.fill_null("").to_pylist(), np.str_)
    if pa.types.is_boolean(kind) and column.null_count:
        column = column.cast(pa.int8())
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return np.asarray(column.cast(pa.timestamp("ns")).to_numpy())
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return np.asarray(column.to_numpy()) if numbers else None


def nearest_days(times: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """The day that begins next to each time (N,), type datetime64[D].

    Some writers shift midnight by their offset from UTC: 2016-12-31 23:00 is 1 January 2017.
    """
    return (times + HALF_A_DAY).astype("datetime64[D]")


def as_column(values: NDArray[Any]) -> NDArray[Any]:
    """Dates as text 'YYYY-MM-DD', '' where missing; everything else as it is."""
    if values.dtype.kind != "M":
        return values
    return np.where(np.isnat(values), "", nearest_days(values).astype(np.str_))
