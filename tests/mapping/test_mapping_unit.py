"""The minimum mapping unit equals the obvious way, fills no gaps, and no tiling shows."""

import json
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from gappy import gappy_groups, store, untrained
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rio_cogeo import cog_validate

from geocomiss.errors import MapError
from geocomiss.mapping import MapRequest, make_map
from geocomiss.mapping.mapping_unit import dissolve, unit_in_pixels

STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def patches(classes: np.ndarray) -> np.ndarray:
    """The number of the patch of each pixel, flooded from pixel to pixel; -1 where there is no class."""
    numbers = np.full(classes.shape, -1)
    for start in zip(*np.nonzero(classes), strict=True):
        if numbers[start] >= 0:
            continue
        number, waiting = numbers.max() + 1, deque([start])
        numbers[start] = number
        while waiting:
            row, col = waiting.popleft()
            for down, right in STEPS:
                at = (row + down, col + right)
                inside = 0 <= at[0] < classes.shape[0] and 0 <= at[1] < classes.shape[1]
                if inside and numbers[at] < 0 and classes[at] == classes[start]:
                    numbers[at] = number
                    waiting.append(at)
    return numbers


def neighbours(numbers: np.ndarray, number: int) -> set[int]:
    """Patches that share an edge with one."""
    padded = np.pad(numbers, 1, constant_values=-1)
    rows, cols = np.nonzero(padded == number)
    touched = {int(each) for down, right in STEPS for each in padded[rows + down, cols + right]}
    return touched - {-1, number}


def random_classes(seed: int, gaps: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, 4, (5, 6)).repeat(5, 0).repeat(5, 1)
    speckled = np.where(rng.random(coarse.shape) < 0.15, rng.integers(1, 4, coarse.shape), coarse)
    return np.where(rng.random(coarse.shape) < gaps, 0, speckled).astype("u1")


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.5]), st.integers(2, 12))
def test_small_patches_go_to_a_largest_neighbour_and_gaps_stay(seed: int, gaps: float, size: int) -> None:
    classes = random_classes(seed, gaps)
    cleaned = dissolve(classes, size)
    np.testing.assert_array_equal(cleaned == 0, classes == 0)
    before, after = patches(classes), patches(cleaned)
    sizes = np.bincount(before[before >= 0])
    for number, pixels in enumerate(sizes):
        inside = before == number
        if pixels >= size:
            np.testing.assert_array_equal(cleaned[inside], classes[inside])  # large ones never change
            continue
        assert len(set(cleaned[inside].tolist())) == 1  # a patch changes as a whole
        near = neighbours(before, number)
        largest = max((sizes[each] for each in near), default=0)
        if largest >= size:  # it went to a largest one at once
            wanted = {classes[before == each][0] for each in near if sizes[each] == largest}
            assert set(cleaned[inside].tolist()) <= wanted
    left = np.bincount(after[after >= 0])
    for number in np.flatnonzero(left < size):  # what stays small has no neighbour that is large enough
        assert all(left[each] < size for each in neighbours(after, int(number)))


@pytest.mark.parametrize(
    ("hectares", "pixels"), [(0.5, 50), (0.011, 2), (0.01, 1), (1e-9, 1), (2.0, 200), (0.0, 1)]
)
def test_hectares_become_pixels(hectares: float, pixels: int) -> None:
    utm = GeoBox((100, 100), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")
    assert unit_in_pixels(utm, hectares) == pixels


def test_pixels_of_degrees_are_as_large_as_they_are() -> None:
    far_north = GeoBox((10, 10), Affine(1e-3, 0, 10, 0, -1e-3, 60), "EPSG:4326")  # about 111 m x 56 m
    assert unit_in_pixels(far_north, 1.0) == 2


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One map as it is, cleaned in two tilings, and cleaned after smoothing."""
    folder = tmp_path_factory.mktemp("unit")
    stack, model = store(folder, gappy_groups()), untrained(folder)
    wanted = {
        "raw": {},
        "whole": {"mapping_unit": 0.08},
        "tiles": {"mapping_unit": 0.08, "tile": 17},
        "smooth": {"mapping_unit": 0.08, "smooth": 3},
    }
    for name, given_ in wanted.items():
        with_probabilities = name != "smooth"
        make_map(
            MapRequest(
                str(stack), folder / name, model=str(model), probabilities=with_probabilities, **given_
            )
        )
    return {name: folder / name for name in wanted}


def read(folder: Path, layer: str) -> np.ndarray:
    with rasterio.open(folder / f"{layer}.tif") as file:
        return file.read()


def test_no_tiling_shows(maps: dict[str, Path]) -> None:
    for each in ("crop_type", "confidence", "probabilities", "modalities"):
        assert (maps["whole"] / f"{each}.tif").read_bytes() == (maps["tiles"] / f"{each}.tif").read_bytes()
    assert not (maps["whole"] / "tiles").exists() and not (maps["tiles"] / "tiles").exists()


def test_the_layers_stay_consistent(maps: dict[str, Path]) -> None:
    raw, cleaned = read(maps["raw"], "crop_type")[0], read(maps["whole"], "crop_type")[0]
    np.testing.assert_array_equal(cleaned, dissolve(raw, 8))
    assert (cleaned != raw).sum() > 20
    shares = read(maps["whole"], "probabilities")
    np.testing.assert_array_equal(shares, read(maps["raw"], "probabilities"))  # what the model thinks stays
    mapped = cleaned > 0
    written = np.take_along_axis(shares, np.maximum(cleaned, 1)[None] - 1, 0)[0]
    np.testing.assert_array_equal(read(maps["whole"], "confidence")[0][mapped], written[mapped])
    np.testing.assert_array_equal(
        read(maps["whole"], "confidence")[0] == 255, read(maps["raw"], "confidence")[0] == 255
    )


def test_the_package_says_what_was_changed(maps: dict[str, Path]) -> None:
    raw, cleaned = read(maps["raw"], "crop_type")[0], read(maps["whole"], "crop_type")[0]
    run = json.loads((maps["whole"] / "run.json").read_text())
    done = run["minimum_mapping_unit"]
    assert (done["hectares"], done["pixels"], done["changed_pixels"]) == (0.08, 8, (cleaned != raw).sum())
    assert done["changed_ha"] == pytest.approx(done["changed_pixels"] * 0.01, rel=0.01)
    assert [each["pixels"] for each in run["classes"]] == [(cleaned == v).sum() for v in (1, 2, 3)]
    assert any("minimum mapping unit of 0.08 ha" in note for note in run["notes"])
    item = json.loads((maps["whole"] / "stac_item.json").read_text())
    assert "patches below 0.08 ha (8 pixels)" in item["properties"]["processing:lineage"]
    assert "patches below 0.08 ha" in item["assets"]["crop_type"]["description"]
    with rasterio.open(maps["whole"] / "crop_type.tif") as file:
        assert file.tags()["minimum_mapping_unit"] == "0.08 ha"
    assert cog_validate(maps["whole"] / "crop_type.tif", strict=True)[0]
    assert json.loads((maps["raw"] / "run.json").read_text())["minimum_mapping_unit"] is None


def test_it_works_on_what_smoothing_left(maps: dict[str, Path]) -> None:
    assert not (maps["smooth"] / "probabilities.tif").exists()
    numbers = patches(read(maps["smooth"], "crop_type")[0])
    sizes = np.bincount(numbers[numbers >= 0])
    assert all(
        all(sizes[each] < 8 for each in neighbours(numbers, int(number)))
        for number in np.flatnonzero(sizes < 8)
    )
    lineage = json.loads((maps["smooth"] / "stac_item.json").read_text())["properties"]["processing:lineage"]
    assert "smoothed over 3 x 3" in lineage and "patches below" in lineage


@pytest.mark.parametrize("hectares", [-1.0, float("nan"), float("inf")])
def test_what_is_no_area_is_refused(tmp_path: Path, hectares: float) -> None:
    stack, model = store(tmp_path, gappy_groups()), untrained(tmp_path)
    with pytest.raises(MapError, match="--minimum-mapping-unit"):
        make_map(MapRequest(str(stack), tmp_path / "x", model=str(model), mapping_unit=hectares))
