"""How a project is registered for Earth Engine, where the API says so.

The tier of a noncommercial project is not told: https://developers.google.com/earth-engine/reference/rest/v1alpha/ProjectConfig
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import ee

from geocomiss.errors import SourceError
from geocomiss.sources.ee.client import Client

Use = Literal["commercial", "noncommercial", "none", "unknown"]
USES: Final[dict[str, Use]] = {
    "REGISTERED_COMMERCIALLY": "commercial",
    "REGISTERED_NOT_COMMERCIALLY": "noncommercial",
    "NOT_REGISTERED": "none",
}


@dataclass(frozen=True)
class Registration:
    """What the API says of a project."""

    use: Use = "unknown"
    """For which use it is registered; 'unknown' where the API does not say."""
    exports: int | None = None
    """Export tasks that it may run at a time; None where the API does not say."""


def registration(client: Client) -> Registration:
    """How the project of a connection is registered; nothing is known where that may not be asked."""
    try:
        told: Any = client.call(ee.data.getProjectConfig)
    except (SourceError, AttributeError):  # no right to ask, or a gateway whose API lacks the method
        return Registration()
    exports = told.get("maxConcurrentExports")
    return Registration(
        USES.get(told.get("registrationState", ""), "unknown"), None if exports is None else int(exports)
    )
