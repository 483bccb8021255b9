"""Labels, from the columns of a table.

N samples.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.samples.contents import Columns


def labels_of(table: str, columns: Columns, key: str) -> NDArray[np.str_]:
    """The column `key` as class names (N,); '' where a sample has none.

    Args:
        table: Name of the table, for messages.
        columns: Its columns.
        key: The one that holds labels.

    Raises:
        SampleError: There is no such column, or it holds measurements rather than classes.
    """
    if key not in columns:
        raise SampleError(
            f"{table} has no label column {key!r}",
            expected=f"one of {', '.join(columns)}",
            todo="correct --label",
        )
    column = columns[key]
    if np.issubdtype(column.dtype, np.floating):
        return _whole(table, key, column)
    if column.dtype.kind == "S":
        column = np.char.decode(column, "utf-8", "replace")
    return np.char.strip(column.astype(np.str_))


def _whole(table: str, key: str, column: NDArray[Any]) -> NDArray[np.str_]:
    """Whole numbers as class names; '' for NaN."""
    known = np.isfinite(column)
    if (wrong := column[known & (column != np.round(column))]).size:
        raise SampleError(
            f"{key} of {table} holds fractions such as {wrong[0]:.6g}",
            expected="a class per sample: names, or whole numbers",
            todo="give a column of classes with --label; regression is not supported",
        )
    return np.where(known, np.where(known, column, 0).astype(np.int64).astype(np.str_), "")
