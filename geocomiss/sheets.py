"""Small tables that users write by hand or in a spreadsheet: CSV files."""

import csv
from collections.abc import Mapping
from pathlib import Path


def read_sheet(path: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The columns and rows of a CSV file in UTF-8; cells without spaces around, '' where there is none.

    Columns are separated by commas, or by semicolons as spreadsheets do where the comma is decimal.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no text in UTF-8, no CSV, or has a row longer than the header; said in words.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = ";" if ";" in first and "," not in first else ","
            reader = csv.DictReader(file, skipinitialspace=True, delimiter=delimiter)
            rows = [_cells(row) for row in reader]
            return tuple(name.strip() for name in reader.fieldnames or ()), rows
    except UnicodeDecodeError as error:
        raise ValueError("it is not in UTF-8: save it again as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _cells(row: Mapping[str, str | None]) -> dict[str, str]:
    """A row as texts."""
    if None in row:  # where DictReader keeps what has no column
        raise ValueError(f"the row of {next(iter(row.values()))!r} has more cells than columns: quote commas")
    return {name.strip(): (cell or "").strip() for name, cell in row.items()}
