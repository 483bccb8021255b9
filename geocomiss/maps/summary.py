"""What a map folder says about itself."""

import json
from pathlib import Path
from typing import Any, Final

from geocomiss.errors import MapError

SUMMARY: Final = "run.json"
"""What a map folder says about itself."""
AREA_NOTE: Final = "mapped area (pixel count, not an estimate)"
"""What areas per class are called, everywhere."""


def read_summary(folder: Path) -> dict[str, Any]:
    """What a finished map folder says about itself: the content of `run.json`.

    Raises:
        MapError: There is no summary (an unfinished map, or none at all), or it is damaged.
    """
    path = folder / SUMMARY
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MapError(
            f"{folder} holds no {SUMMARY}",
            expected="a folder with a finished map",
            todo="run `geocomiss map` again with the same arguments to finish it",
        ) from error
    except (OSError, ValueError) as error:
        raise _damaged_summary(path, str(error)) from error
    if not isinstance(summary, dict):
        raise _damaged_summary(path, "it is no object")
    return summary


def _damaged_summary(path: Path, why: str) -> MapError:
    return MapError(
        f"{path} cannot be read ({why})",
        expected="JSON written by `geocomiss map`",
        todo="make the map again",
    )
