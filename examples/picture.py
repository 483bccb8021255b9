"""Draw a map of the simulated world beside its truth: python examples/picture.py map/ picture.png.

Needs a map made with `--source simulated` (seed 0); prints the accuracy where a class was mapped.
"""

import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import rasterio
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.maps import Category, read_categories
from geocomiss.simulation import CLASSES, World

Raster = NDArray[Any]


def draw(folder: Path, picture: Path) -> float:
    """Draw truth, map and confidence side by side; returns the accuracy (0..1) where mapped."""
    crop, grid = read(folder / "crop_type.tif")
    confidence, _ = read(folder / "confidence.tif")
    modalities, _ = read(folder / "modalities.tif")
    classes = read_categories(folder / "crop_type.tif")
    truth = np.where(modalities < 255, true_values(classes, grid), 0)
    figure, axes = plt.subplots(1, 3, figsize=(13, 5.2), layout="constrained")
    show_classes(axes[0], truth, classes, "simulated world: the truth")
    show_classes(axes[1], crop, classes, "mapped by geocomiss")
    shown = axes[2].imshow(np.where(confidence < 255, confidence * 0.005, np.nan), vmin=0, vmax=1)
    axes[2].set_title("confidence")
    figure.colorbar(shown, ax=axes[2], shrink=0.6)
    for each in axes:
        each.set_axis_off()
    legend = [Patch(color=each.color, label=each.name) for each in classes]
    figure.legend(handles=legend, ncols=len(legend), loc="outside lower center", frameon=False)
    figure.savefig(picture, dpi=80)
    return float((crop == truth)[crop > 0].mean())


def read(path: Path) -> tuple[Raster, GeoBox]:
    """The first band of a raster (H, W) and its grid."""
    with rasterio.open(path) as file:
        return file.read(1), GeoBox(file.shape, file.transform, file.crs.to_wkt())


def true_values(classes: tuple[Category, ...], grid: GeoBox) -> Raster:
    """The true class at each pixel, by the values of the map's own classes: (H, W)."""
    value = {each.name: each.value for each in classes}
    table = np.array([0, *(value[crop.name] for crop in CLASSES)])
    return table[World(0).true_class(grid)]


def show_classes(axes: Axes, values: Raster, classes: tuple[Category, ...], title: str) -> None:
    """Draw a categorical raster (H, W) in the map's colours."""
    colors = ListedColormap(["#ffffff", *(each.color for each in classes)])
    axes.imshow(values, cmap=colors, vmin=0, vmax=len(classes), interpolation="nearest")
    axes.set_title(title)


if __name__ == "__main__":
    accuracy = draw(Path(sys.argv[1]), Path(sys.argv[2]))
    print(f"accuracy where a class was mapped: {accuracy:.3f}")
