"""Samples from a catalogue: the series that its stack has, by window, resumable, from a saved search too."""

from datetime import date
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pytest
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from stac_server import StacServer
from typer.testing import CliRunner

from geocomiss.errors import AreaError, GeocomissError
from geocomiss.samples.readers import read_contents
from geocomiss.sampling import SamplingRequest, sample_points
from geocomiss.seasons import Calendar
from geocomiss.sources import open_source
from geocomiss.stack import groups_of
from geocomiss_cli.main import app

PIXELS = ((3, 4), (3, 5), (12, 60), (51, 66))
"""Rows and columns of the points on the grid of the catalogue."""
SPRING = Calendar(date(2021, 5, 1), "month", 2)
SEASON = "2021-05:2021-06"


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """Two points and more of each class, one of which lies on no image."""
    grid = GeoBox((80, 72), affine(), "EPSG:32631")
    places = [shapely.Point(*(grid.affine * (col + 0.4, row + 0.7))) for row, col in PIXELS]
    frame = geopandas.GeoDataFrame(
        {"label": ["maize", "wheat"] * 2 + ["wheat"]},
        geometry=[*places, shapely.Point(900_000, 5_000_000)],
        crs="EPSG:32631",
    )
    frame.to_crs("EPSG:4326").to_file(path := tmp_path / "points.gpkg", driver="GPKG")
    return path


def affine() -> object:
    from affine import Affine

    return Affine(10, 0, 640_000, 0, -10, 5_610_000)


def asked(points: Path, source: str, out: Path) -> SamplingRequest:
    return SamplingRequest(points, source, out, season=SEASON, tile=40, crs="EPSG:32631")


def test_a_sample_holds_what_the_stack_holds(world: StacServer, points: Path, tmp_path: Path) -> None:
    report = sample_points(asked(points, f"stac+{world.url}", tmp_path / "samples.parquet"))
    assert report.n == len(PIXELS) and sum(report.reasons.values()) == 1
    stack = open_source(f"stac+{world.url}").open(GeoBox((80, 72), affine(), "EPSG:32631"), SPRING).compute()
    found = read_contents(tmp_path / "samples.parquet")
    assert found.recipe is not None and found.recipe.s1_product == "gamma0"
    for name, values in found.values.items():
        group = groups_of(stack)[name]
        for number, band in enumerate(found.bands[name]):
            wanted = np.stack([np.atleast_1d(group[band].values[..., row, col]) for row, col in PIXELS])
            np.testing.assert_array_equal(values[:, :, number], wanted, err_msg=f"{name} {band}")
    assert set(found.values) == {"optical", "radar", "topography"}


def test_a_saved_search_gives_the_same_table(world: StacServer, points: Path, tmp_path: Path) -> None:
    source, saved = f"stac+{world.url}", tmp_path / "items.json"
    runner = CliRunner()
    area = "4.97,50.61,4.99,50.63"
    searched = runner.invoke(
        app, ["search", "--source", source, "--aoi", area, "--season", SEASON, "--save", str(saved)]
    )
    assert searched.exit_code == 0, searched.output
    tables = []
    for number, given in enumerate((source, str(saved))):
        out = tmp_path / f"{number}.parquet"
        arguments = ["--points", str(points), "--source", given, "--season", SEASON, "--out", str(out)]
        result = runner.invoke(app, ["sample", *arguments, "--crs", "EPSG:32631"])
        assert result.exit_code == 0, result.output
        tables.append(pandas.read_parquet(out))
    pandas.testing.assert_frame_equal(*tables)
    assert "outside the source" in (tmp_path / "1_left_out.csv").read_text()
    far = geopandas.read_file(points).iloc[-1:]
    far.to_file(tmp_path / "far.gpkg", driver="GPKG")
    with pytest.raises(AreaError, match="goes beyond the saved search"):
        sample_points(asked(tmp_path / "far.gpkg", str(saved), tmp_path / "far.parquet"))


def test_an_interrupted_sampling_asks_for_nothing_twice(
    world: StacServer, points: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import geocomiss.sampling.run as running

    request = asked(points, f"stac+{world.url}", tmp_path / "samples.parquet")
    real, read = running.read_part, []

    def interrupted(plan: object, part: object) -> object:
        if len(read) == 2:
            raise KeyboardInterrupt
        read.append(part.name)  # type: ignore[attr-defined]
        return real(plan, part)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "read_part", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample_points(request)
    assert not request.out.exists()
    again: list[str] = []

    def counted(plan: object, part: object) -> object:
        again.append(part.name)  # type: ignore[attr-defined]
        return real(plan, part)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "read_part", counted)
    report = sample_points(request)
    assert report.n == len(PIXELS) and not set(again) & set(read) and again


def test_images_that_are_gone_are_named_or_end_the_sampling(
    world: StacServer, points: Path, tmp_path: Path
) -> None:
    files = sorted({asset["href"] for item in world.items() for asset in item["assets"].values()})
    optical = [href.removeprefix(world.url).partition("?")[0] for href in files if "/S2-" in href]
    world.fail(gone=[path for path in optical if path.endswith("B04.tif")][-1:])
    report = sample_points(asked(points, f"stac+{world.url}", tmp_path / "some.parquet"))
    assert report.n == len(PIXELS) and any("S2-" in each for each in report.warnings)
    world.renew()
    world.fail(gone=optical)
    with pytest.raises(GeocomissError, match="cannot be read"):
        sample_points(asked(points, f"stac+{world.url}", tmp_path / "none.parquet"))
    assert not (tmp_path / "none.parquet").exists()


def test_training_and_mapping_go_on_from_it(world: StacServer, points: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(0, 80, 60), rng.integers(0, 72, 60)
    places = [shapely.Point(*(affine() * (c + 0.5, r + 0.5))) for r, c in zip(rows, cols, strict=True)]  # type: ignore[operator]
    frame = geopandas.GeoDataFrame({"label": ["maize", "wheat"] * 30}, geometry=places, crs="EPSG:32631")
    frame.to_file(points, driver="GPKG")
    source, season = f"stac+{world.url}", SEASON
    runner = CliRunner()
    for command in (
        f"sample --points {points} --source {source} --season {season} --out {tmp_path / 's.parquet'}",
        f"train --samples {tmp_path / 's.parquet'} --method comiss --preset small --epochs 2 "
        f"--out {tmp_path / 'model'}",
        f"map --source {source} --season {season} --model {tmp_path / 'model'} --applicability "
        f"--aoi 4.9813,50.6223,4.9827,50.6232 --out {tmp_path / 'map'}",
    ):
        result = runner.invoke(app, command.split())
        assert result.exit_code == 0, result.output
    assert "area of applicability" in result.output
    assert isinstance(xr.open_dataset(tmp_path / "map" / "applicability.tif", engine="rasterio"), xr.Dataset)
