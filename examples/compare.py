"""Compare a map with reference labels on the same pixels.

python examples/compare.py MAP REFERENCE.nc VARIABLE 1200=maize,9120=grass,*=other_crop

The reference is a NetCDF variable (y, x) of codes on the map's grid; 0 means unknown. Codes are
given the map's classes; `*` stands for all other codes. Prints accuracy and F1 per class.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray

from geocomiss.maps import read_categories

Raster = NDArray[Any]


def compare(mapped: Raster, reference: Raster, names: dict[int, str]) -> dict[str, float]:
    """Accuracy and F1 per class over the pixels whose reference is known.

    A pixel without a class in the map counts as an error.

    Args:
        mapped: Class values (H, W), 0 none.
        reference: True class values (H, W), 0 unknown.
        names: Name of each class value.
    """
    found, true = mapped[reference > 0], reference[reference > 0]
    scores = {"pixels": float(true.size), "accuracy": float((found == true).mean())}
    for value, name in names.items():
        hits = float(((found == value) & (true == value)).sum())
        total = float((found == value).sum() + (true == value).sum())
        scores[f"F1 {name}"] = 2 * hits / total if total else float("nan")
    return scores


def reference_values(codes: Raster, legend: str, values: dict[str, int]) -> Raster:
    """Codes (H, W) to class values by a legend '1200=maize,*=other'."""
    pairs = dict(pair.split("=") for pair in legend.split(","))
    rest = values[pairs.pop("*")] if "*" in pairs else 0
    result = np.where(codes > 0, rest, 0)
    for code, name in pairs.items():
        result[codes == int(code)] = values[name]
    return result


def main(folder: Path, path: Path, variable: str, legend: str) -> None:
    """Print how well a map agrees with reference labels."""
    names = {each.value: each.name for each in read_categories(folder / "crop_type.tif")}
    with rasterio.open(folder / "crop_type.tif") as file:
        mapped = file.read(1)
    with xr.open_dataset(path, mask_and_scale=False) as dataset:
        codes = np.squeeze(dataset[variable].values)
    if codes.shape != mapped.shape:
        sys.exit(f"the reference has {codes.shape} pixels, the map {mapped.shape}")
    truth = reference_values(codes, legend, {name: value for value, name in names.items()})
    for name, score in compare(mapped, truth, names).items():
        print(f"{name}: {score:,.3f}" if name != "pixels" else f"{name}: {score:,.0f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
