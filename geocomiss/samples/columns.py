"""Labels and targets, from the columns of a table.

N samples.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.samples.contents import Columns
from geocomiss.wording import composed

NOT_A_LABEL: Final = "nan"
"""What programs write in place of a label that is missing."""
MIN_VALUES: Final = 20
"""Fewest samples with a value that a regression is tried on."""


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
        raise _no_column(table, columns, key, "label")
    column = columns[key]
    if np.issubdtype(column.dtype, np.floating):
        return _whole(table, key, column)
    if column.dtype.kind == "S":
        column = np.char.decode(column, "utf-8", "replace")
    distinct, which = np.unique(column.astype(np.str_), return_inverse=True)
    labels = [composed(label).strip() for label in distinct.tolist()]
    return np.array(["" if label.lower() == NOT_A_LABEL else label for label in labels], np.str_)[which]


def target_of(table: str, columns: Columns, key: str) -> NDArray[np.float64]:
    """The column `key` as values to predict (N,); NaN where a sample has none.

    Args:
        table: Name of the table, for messages.
        columns: Its columns.
        key: The one that holds the target.

    Raises:
        SampleError: There is no such column, it holds no numbers, too few, or always the same.
    """
    if key not in columns:
        raise _no_column(table, columns, key, "target")
    column = columns[key]
    if column.dtype.kind not in "iuf":
        raise SampleError(
            f"{key} of {table} holds no numbers (but values such as {column[0]})",
            expected="a number per sample",
            todo=f"give a numeric column with --target, or tell classes apart: --label {key}",
        )
    values = np.where(np.isfinite(column), column, np.nan).astype(np.float64)
    _check_values(table, key, values[np.isfinite(values)])
    return values


def _check_values(table: str, key: str, known: NDArray[np.float64]) -> None:
    if known.size < MIN_VALUES:
        raise SampleError(
            f"{key} of {table} is known for {known.size} samples",
            expected=f"at least {MIN_VALUES} to learn a value from",
            todo="give another column with --target, or a larger table",
        )
    if known.min() == known.max():
        raise SampleError(
            f"{key} of {table} is {known[0]:.6g} in all samples",
            expected="a value that differs between samples",
            todo="give another column with --target",
        )


def _no_column(table: str, columns: Columns, key: str, role: str) -> SampleError:
    return SampleError(
        f"{table} has no {role} column {key!r}",
        expected=f"one of {', '.join(columns)}",
        todo=f"correct --{role}",
    )


def _whole(table: str, key: str, column: NDArray[Any]) -> NDArray[np.str_]:
    """Whole numbers as class names; '' for NaN."""
    known = np.isfinite(column)
    if (wrong := column[known & (column != np.round(column))]).size:
        raise SampleError(
            f"{key} of {table} holds fractions such as {wrong[0]:.6g}",
            expected="a class per sample: names, or whole numbers",
            todo=f"give a column of classes with --label, or predict {key} by regression: --target {key}",
        )
    return np.where(known, np.where(known, column, 0).astype(np.int64).astype(np.str_), "")
