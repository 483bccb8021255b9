"""A year of images is mapped from a catalogue: no byte comes twice, and computing does not wait for any."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from stac_season import AWAY, add_season, area, model_for, write_area
from stac_server import StacServer, serving
from typer.testing import CliRunner

from geocomiss.mapping import MapRequest, make_map
from geocomiss.nets import SIZES, EncoderSize
from geocomiss_cli.main import app

SIDE = 1000
TILE = 256
MARGIN = 2
"""Pixels of the scene classification beyond the area that clouds may grow from: 30 m at 20 m."""


def blocks_met(path: Path, margin: int) -> int:
    """Bytes of the compressed blocks that meet the area, the slow way, by GDAL."""
    with rasterio.open(path) as file:
        box = area(SIDE).extent.to_crs(file.crs).boundingbox
        rows, cols = window_in_image(file, box.bbox, margin)
        found = [
            file.block_size(1, i, j)
            for (i, j), block in file.block_windows(1)
            if block.row_off < rows[1] and block.row_off + block.height > rows[0]
            and block.col_off < cols[1] and block.col_off + block.width > cols[0]
        ]  # fmt: skip
    return sum(found)


def window_in_image(file: Any, box: tuple[float, ...], margin: int) -> tuple[list[float], list[float]]:
    """First and last row, first and last column."""
    left, top = ~file.transform * (box[0], box[3])
    right, bottom = ~file.transform * (box[2], box[1])
    return [top - margin, bottom + margin], [left - margin, right + margin]


@pytest.mark.slow
def test_a_season_is_mapped_and_what_was_fetched_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIZES, "small", EncoderSize(4, 8, 4))
    folder = tmp_path / "files"
    folder.mkdir()
    with serving(folder, page=100) as server:
        add_season(server, SIDE, TILE, every=18)
        server.fail(slow=0.01)
        server.forget()
        report = make_map(request(server, tmp_path))
        sent, asked = server.sent(), server.asked()
    facts = json.loads((tmp_path / "map" / "run.json").read_text())
    fetching = facts["fetching"]
    assert (report.grid.height, report.grid.width) == (SIDE, SIDE) and report.tiles == 16
    assert sum(each["pixels"] for each in report.classes) == SIDE * SIDE
    assert report.modality_share["optical"] == report.modality_share["radar"] == 1
    assert (fetching["bytes"], fetching["requests"]) == (sent, sum(asked.values())), "as the server counts"
    assert fetching["uncounted"] == 0
    assert fetching["bytes_over_needed"] <= 1.2 and fetching["requests_over_fewest"] <= 1.1
    met = sum(blocks_met(path, MARGIN if path.name == "SCL.tif" else 0) for path in folder.rglob("*.tif"))
    assert fetching["needed_bytes"] < 1.05 * met and fetching["bytes"] < 1.2 * met
    assert met < 0.9 * sum(path.stat().st_size for path in folder.rglob("*.tif")), (
        "there is more than the area"
    )
    assert fetching["overlap"] >= 0.9
    assert any(each.startswith("topography elevation: mean") for each in report.warnings), "unlike the model"
    assert not (tmp_path / "map" / "fetched").exists(), "blocks go when the map is done"
    assert AWAY[0] % TILE and AWAY[1] % TILE, "or tiles would lie as blocks do"


def request(server: StacServer, folder: Path) -> MapRequest:
    return MapRequest(
        f"stac+{server.url}",
        folder / "map",
        aoi=str(write_area(folder / "area.gpkg", SIDE)),
        season="2021",
        crs="EPSG:32631",
        model=str(model_for(folder)),
        tile=TILE,
        device="cpu",
    )


def test_three_months_without_radar_are_missing_and_the_map_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIZES, "small", EncoderSize(4, 8, 4))
    folder = tmp_path / "files"
    folder.mkdir()
    with serving(folder, page=100) as server:
        add_season(server, 40, 256)
        lost = ("S1-202104", "S1-202105", "S1-202106")
        server.tell(only=[item for item in server.items() if not item["id"].startswith(lost)])
        aoi = str(write_area(tmp_path / "small.gpkg", 40))
        asked = ["search", "--source", f"stac+{server.url}", "--aoi", aoi, "--season", "2021"]
        shown = CliRunner().invoke(app, asked, env={"COLUMNS": "200"})
        report = make_map(replace(request(server, tmp_path), aoi=aoi))
    months = {line.split("│")[1].strip(): line for line in shown.stdout.splitlines() if "│ 2021-" in line}
    assert all("no acquisition" in months[each] for each in ("2021-04", "2021-05", "2021-06")), shown.output
    assert "ends here" not in shown.stdout
    assert "radar: no acquisition in 2021-04, 2021-05, 2021-06" in report.notes
    radar = np.array(report.observed["radar"])
    assert (radar[3:6] == 0).all() and (np.delete(radar, slice(3, 6)) > 0).all()
    assert report.modality_share["radar"] == 1, "nine months are enough"
    assert sum(each["pixels"] for each in report.classes) == 40 * 40


def test_what_an_earlier_run_could_not_read_is_said_of_the_tiles_it_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIZES, "small", EncoderSize(4, 8, 4))
    folder = tmp_path / "files"
    folder.mkdir()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with serving(folder, page=100) as server:
        add_season(server, 40, 256, every=18)
        asked = replace(request(server, tmp_path), max_unreadable=50)
        gone = min(path for path in folder.rglob("vv.tif")).relative_to(folder)
        server.fail(gone=[f"/files/{gone}"])
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("geocomiss.mapping.run.assemble", interrupted)
            make_map(asked)
        server.fail()
        report = make_map(asked)
    assert report.kept and not report.computed
    (said,) = (each for each in report.warnings if str(gone) in each)
    assert said.startswith("in a run before this one, 1 of ") and "missing observations" in said
