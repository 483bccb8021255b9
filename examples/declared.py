"""Farmers' declared crops, a raster of codes, as what a user with field data would have.

python examples/declared.py fields REFERENCE.nc VARIABLE 1200=maize,9120=grass,*=other north FIELDS.gpkg
python examples/declared.py mask   REFERENCE.nc VARIABLE 1200=maize,9120=grass,*=other south MASK.tif
python examples/declared.py label  REFERENCE.nc VARIABLE 1200=maize,9120=grass,*=other south VALIDATION.gpkg

A field is a connected patch of one code. Whole fields lie north or south, by their middle, so that no
field is on both sides. `fields` writes their outlines, `mask` a raster that is 1 in them, and `label`
fills in the classes of points that `geocomiss design` drew.
"""

import sys
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize, shapes
from shapely.geometry import shape

Raster = NDArray[Any]


def read_codes(path: Path, variable: str) -> tuple[Raster, Affine, str]:
    """Codes (H, W), their transform and CRS; rows from north to south."""
    with xr.open_dataset(path, mask_and_scale=False) as dataset:
        array = np.squeeze(dataset[variable].values)
        x, y = dataset.x.values, dataset.y.values
        side_x, side_y = x[1] - x[0], y[1] - y[0]
        affine = Affine(side_x, 0, x[0] - side_x / 2, 0, side_y, y[0] - side_y / 2)
        return array, affine, f"EPSG:{int(dataset.attrs['epsg'])}"


def fields_of(codes: Raster, affine: Affine, crs: str, legend: str, side: str) -> geopandas.GeoDataFrame:
    """Outlines and classes of the fields on one side: north or south."""
    pairs = dict(pair.split("=") for pair in legend.split(","))
    rest = pairs.pop("*", "")
    found = [
        (shape(outline), int(code)) for outline, code in shapes(codes.astype(np.int32), codes > 0, 4, affine)
    ]
    frame = geopandas.GeoDataFrame(
        {"crop": [pairs.get(str(code), rest) for _, code in found]},
        geometry=[each for each, _ in found],
        crs=crs,
    )
    middle = affine.f + affine.e * codes.shape[0] / 2
    north = frame.geometry.centroid.y > middle
    return frame[(north if side == "north" else ~north) & (frame["crop"] != "")].reset_index(drop=True)


def main(what: str, reference: Path, variable: str, legend: str, side: str, out: Path) -> None:
    """Write fields, a mask or labels."""
    codes, affine, crs = read_codes(reference, variable)
    fields = fields_of(codes, affine, crs, legend, side)
    if what == "fields":
        fields.to_file(out, driver="GPKG")
        print(f"{len(fields)} fields:", dict(fields["crop"].value_counts()))
    elif what == "mask":
        inside = rasterize(fields.geometry, codes.shape, transform=affine, dtype="uint8")
        height, width = codes.shape
        profile = {"count": 1, "dtype": "uint8", "height": height, "width": width}
        with rasterio.open(out, "w", driver="GTiff", crs=crs, transform=affine, **profile) as file:
            file.write(inside, 1)
        print(f"{int(inside.sum())} pixels in {len(fields)} fields")
    else:
        points = geopandas.read_file(out, layer="points")
        inside = geopandas.sjoin(points.to_crs(crs)[["geometry"]], fields, how="left")
        points["label"] = inside["crop"][~inside.index.duplicated()].to_numpy()
        points.to_file(out, layer="points", driver="GPKG")
        print(f"{int(points['label'].notna().sum())} of {len(points)} points labelled")


if __name__ == "__main__":
    if len(sys.argv) != 7 or sys.argv[1] not in ("fields", "mask", "label"):
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5], Path(sys.argv[6]))
