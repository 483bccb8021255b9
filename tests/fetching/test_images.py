"""Images of a stack hold its values, name bands and dates, and replace nothing but images."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from gappy import BANDS, SEASON, gappy_groups, store
from rio_cogeo import cog_validate

from geocomiss.errors import MapError
from geocomiss.fetching import FetchRequest, fetch_stack
from geocomiss.stack import read_stack


@pytest.mark.slow  # fifty files
def test_images_hold_the_values_of_the_stack(tmp_path: Path) -> None:
    stack = store(tmp_path, gappy_groups())
    out = tmp_path / "images"
    fetch_stack(FetchRequest(str(stack), out, format="cog"))
    tree = read_stack(stack).compute()
    steps = [str(day) for day in SEASON.edges()[:-1]]
    dated = ("optical", "radar", "weather", "true_color")
    names = {"topography.tif", "images.json", *(f"{kind}_{day}.tif" for kind in dated for day in steps)}
    assert {each.name for each in out.iterdir()} == names
    for name, bands in BANDS.items():
        for number, day in enumerate(steps if name != "topography" else [""]):
            path = out / (f"{name}_{day}.tif" if day else f"{name}.tif")
            group = tree[name].to_dataset()
            group = group.isel(time=number) if day else group
            with rasterio.open(path) as file:
                listed = (*bands, "count") if day else bands
                assert file.descriptions == listed and np.isnan(file.nodata)
                for band, values in zip(listed, file.read(), strict=True):
                    np.testing.assert_array_equal(values, group[band].values.astype("f4"))
                assert all(file.units) and file.tags().get("first_day", "") == day
    assert cog_validate(out / f"optical_{steps[3]}.tif", strict=True)[0]
    with rasterio.open(out / f"true_color_{steps[4]}.tif") as file:
        assert not file.read().any()  # a month of clouds alone
    with rasterio.open(out / f"true_color_{steps[3]}.tif") as file:
        seen = np.isfinite(tree["optical"]["B4"].values[3])
        np.testing.assert_array_equal(file.read(1) > 0, seen)
        assert [each.name for each in file.colorinterp] == ["red", "green", "blue"]
    assert len(json.loads((out / "images.json").read_text())["images"]) == len(names) - 1


def test_only_images_are_replaced(tmp_path: Path) -> None:
    stack = store(tmp_path, gappy_groups())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    request = FetchRequest(str(stack), tmp_path / "mine", format="cog", overwrite=True)
    with pytest.raises(MapError, match="no folder of images"):
        fetch_stack(request)
    assert (tmp_path / "mine" / "notes.txt").exists()
    with pytest.raises(MapError, match="exists"):
        fetch_stack(FetchRequest(str(stack), tmp_path / "mine", format="cog"))
