"""geocomiss: crop-type maps from whatever satellites saw, without QGIS.

The steps of a map as Python functions:

    stack = geocomiss.open_stack("stack.nc", season="2021")
    model = geocomiss.load_model("model/")
    prediction = geocomiss.predict(stack, model)     # lazy xarray: nothing is computed yet
    prediction.crop_type.plot()
    geocomiss.write(prediction, "map/")

What the commands do is there as well: `make_map(MapRequest(...))`, `fetch_stack(FetchRequest(...))`,
`read_samples(SampleRequest(...))`, `train_model(TrainRequest(...))`. Every error is a `GeocomissError`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from geocomiss.api import load_model, open_stack, predict, write
    from geocomiss.errors import GeocomissError
    from geocomiss.fetching import FetchRequest, fetch_stack
    from geocomiss.mapping import MapRequest, make_map
    from geocomiss.samples import SampleRequest, read_samples
    from geocomiss.training import TrainRequest, train_model

_ROOMS = {
    "geocomiss.api": ("load_model", "open_stack", "predict", "write"),
    "geocomiss.errors": ("GeocomissError",),
    "geocomiss.fetching": ("FetchRequest", "fetch_stack"),
    "geocomiss.mapping": ("MapRequest", "make_map"),
    "geocomiss.samples": ("SampleRequest", "read_samples"),
    "geocomiss.training": ("TrainRequest", "train_model"),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "FetchRequest",
    "GeocomissError",
    "MapRequest",
    "SampleRequest",
    "TrainRequest",
    "fetch_stack",
    "load_model",
    "make_map",
    "open_stack",
    "predict",
    "read_samples",
    "train_model",
    "write",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and nothing before: `import geocomiss` loads neither torch nor xarray."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
