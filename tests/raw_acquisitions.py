"""A folder of raw acquisitions of any size: optical and radar images of a year."""

from pathlib import Path

import numpy as np
import xarray as xr

FINE, COARSE = ("B02", "B03", "B04", "B08"), ("B05", "B06", "B07", "B8A", "B11", "B12")
LEFT, TOP = 640000.0, 5610000.0


def folder(
    path: Path, side: int, dates: int, kind: str = "u2", coarse: int = 20, stored: int | None = None
) -> Path:
    """Optical and radar images of a year: ten bands, two polarisations.

    Args:
        path: Where.
        side: Pixels of 10 m a side.
        dates: Of each sensor.
        kind: Of the numbers of optical bands.
        coarse: Metres of the bands that are not red, green, blue or near infrared.
        stored: Pixels a side of the blocks in files; None: rows follow one another.
    """
    path.mkdir()
    rng, sides = np.random.default_rng(0), {10: side, coarse: side * 10 // coarse}
    days = np.datetime64("2021-01-01") + np.linspace(0, 364, dates).astype("m8[D]")
    for name, bands, pixel in (("fine", FINE, 10), ("coarse", (*COARSE, "SCL"), coarse), ("S1", "V", coarse)):
        shape = (dates, sides[pixel], sides[pixel])
        values = {band: rng.integers(1, 9000, shape, np.uint16).astype(kind) for band in bands}
        if "SCL" in bands:
            values["SCL"] = rng.choice(np.array([4, 5, 6, 9], np.uint8), shape)
        if name == "S1":
            values = {band: rng.normal(-12, 1, shape).astype("f4") for band in ("VV", "VH")}
        at = pixel * (np.arange(sides[pixel]) + 0.5)
        coords = {"t": days.astype("datetime64[ns]"), "y": TOP - at, "x": LEFT + at}
        dataset = xr.Dataset({band: (("t", "y", "x"), each) for band, each in values.items()}, coords=coords)
        dataset["crs"] = ((), 0, {"crs_wkt": "EPSG:32631"})
        blocks = {"chunksizes": (1, stored, stored), "zlib": True, "complevel": 1} if stored else {}
        dataset.to_netcdf(path / f"{name}.nc", encoding=dict.fromkeys(values, blocks))
    return path
