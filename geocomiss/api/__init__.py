"""The steps of a map as functions of xarray objects, for notebooks and other programs.

    stack = geocomiss.open_stack("stack.nc", season="2021")
    model = geocomiss.load_model("model/")
    prediction = geocomiss.predict(stack, model)     # lazy: nothing is read or computed yet
    prediction.crop_type.sel(x=slice(500_000, 501_000)).plot()
    geocomiss.write(prediction, "map/")

`predict` says of each pixel what `geocomiss map` writes there. A whole map with its areas, checks of
values, resumption and report is made by `make_map`.
"""

from geocomiss.api.opening import load_model, open_stack
from geocomiss.api.predicting import predict
from geocomiss.api.writing import write

__all__ = ["load_model", "open_stack", "predict", "write"]
