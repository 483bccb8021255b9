"""`geocomiss search`, what it keeps, and a source for each modality."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from stac_server import StacServer
from typer.testing import CliRunner

from geocomiss.errors import AreaError, SeasonError, SourceError
from geocomiss.recipes import RECIPES
from geocomiss.searching import Month, Row, SearchReport
from geocomiss.seasons import Calendar
from geocomiss.sources import open_source
from geocomiss.sources.base import Reading
from geocomiss.stack import groups_of, origin_of
from geocomiss.wording import without_secrets
from geocomiss_cli import main as entry
from geocomiss_cli.search import search

GRID = GeoBox((80, 72), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")
MAY = Calendar(date(2021, 5, 1), "month", 1)
OPTICAL = Reading({"optical": ("B2", "B4")})


def read(url: str, reading: Reading = OPTICAL) -> dict[str, Any]:
    return groups_of(open_source(f"stac+{url}", reading=reading).open(GRID, MAY).compute())


def test_a_damaged_saved_search_is_said_in_words(tmp_path: Path) -> None:
    for number, content in enumerate(
        ('{"features":[{"stac_version":"1.0.0"}]}', "[]", "{", '{"features":[]}')
    ):
        path = tmp_path / f"{number}.json"
        path.write_text(content)
        with pytest.raises(SourceError, match=path.name):
            open_source(str(path))


def area(grid: GeoBox = GRID) -> str:
    box = grid[10:60, 10:60].extent.to_crs("EPSG:4326").boundingbox
    return f"{box.left},{box.bottom},{box.right},{box.top}"


def test_no_name_is_cut_off_in_a_file_or_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    months = tuple(Month(date(2021, month, 1), 9, 12.0, "") for month in range(1, 13))
    catalogue = "stac+https://a-catalogue-with-a-long-name.example.org/api/stac/v1"
    rows = tuple(
        Row("optical", f"sentinel-2{letter}-of-another-name", catalogue, 1000, *days, months)
        for letter, days in zip("abcd", [(date(2021, 1, 1), date(2021, 12, 31))] * 4, strict=True)
    )
    report = SearchReport(Calendar(date(2021, 1, 1), "month", 12), rows, (), None)
    monkeypatch.setattr("geocomiss.searching.search", lambda _: report)
    monkeypatch.delenv("COLUMNS", raising=False)
    search("planetary-computer", "1,1,2,2", "2021")
    said = capsys.readouterr().out
    assert all(row.platform in said for row in rows) and said.count(catalogue) == 4 and "…" not in said
    monkeypatch.setenv("COLUMNS", "60")
    search("planetary-computer", "1,1,2,2", "2021")
    narrow = capsys.readouterr().out
    assert "…" not in narrow and max(map(len, narrow.splitlines())) <= 60
    cells = [
        [cell.strip() for cell in line.split("│")] for line in narrow.split("Acquisitions")[0].splitlines()
    ]
    assert catalogue in "".join(cell[3] for cell in cells if len(cell) > 6)


def test_search_shows_what_exists_and_keeps_it(world: StacServer, tmp_path: Path) -> None:
    world.tell(only=[i for i in world.items() if not i["id"].startswith("S1-202106")])
    save = tmp_path / "items.json"
    arguments = ["search", "--source", f"stac+{world.url}", "--aoi", area(), "--season", "2021-03:2021-06"]
    done = CliRunner().invoke(entry.app, [*arguments, "--save", str(save)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert re.search(r"radar +│ sentinel-1a", done.stdout) and "sentinel-2a" in done.stdout
    months = {line.split("│")[1].strip(): line for line in done.stdout.splitlines() if "│ 2021-0" in line}
    assert "█" in months["2021-05"] and "%" in months["2021-05"]
    assert "no acquisition" in months["2021-03"], "before the first image"
    assert "the catalogue ends here" in months["2021-06"], "after the last one of all radar"
    kept = json.loads(save.read_text())
    assert kept["geocomiss"]["sources"]["radar"] and len(kept["features"]) == len(world.items())
    direct = read(world.url)
    world.forget()
    source = open_source(str(save), RECIPES["monthly-l2a"], reading=OPTICAL)
    part = GRID[20:50, 20:50]
    again = groups_of(source.open(part, MAY).compute())["optical"]
    assert not world.asked("/search")
    np.testing.assert_array_equal(again["B2"].values, direct["optical"]["B2"].values[:, 20:50, 20:50])
    with pytest.raises(AreaError, match="beyond the saved search"):
        source.open(GeoBox((9, 9), Affine(10, 0, 700_000, 0, -10, 5_610_000), "EPSG:32631"), MAY)
    with pytest.raises(SeasonError, match="beyond the saved search"):
        source.open(part, Calendar(date(2021, 7, 1), "month", 1))
    assert CliRunner().invoke(entry.app, [*arguments, "--save", str(save)]).exit_code != 0, "it is there"


def test_names_and_keys_in_an_address_are_not_kept_or_shown(world: StacServer, tmp_path: Path) -> None:
    address = f"stac+{world.url.replace('://', '://me:hidden@')}/?key=hidden"
    asked = ["--aoi", area(), "--season", "2021-05:2021-05"]
    saved = tmp_path / "items.json"
    ran = CliRunner().invoke(entry.app, ["search", "--source", address, *asked, "--save", str(saved)])
    assert ran.exit_code == 0, ran.output
    assert "hidden" not in ran.output + saved.read_text()
    with pytest.raises(SourceError) as told:
        open_source("stac+http://me:hidden@127.0.0.1:1/a?key=hidden")
    assert "hidden" not in str(told.value) and "127.0.0.1:1/a" in str(told.value)
    command = without_secrets(
        "geocomiss map --source 'radar=stac+https://me:a@b.c/d?key=x,optical=e' --out f"
    )
    assert command == "geocomiss map --source 'radar=stac+https://b.c/d,optical=e' --out f"


def test_a_search_that_found_nothing_says_so(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    path.write_text('{"type": "FeatureCollection", "geocomiss": {}, "features": []}')
    with pytest.raises(SourceError, match="holds 0 items"):
        open_source(str(path))


def test_a_source_for_each_modality(world: StacServer, tmp_path: Path) -> None:
    save = tmp_path / "items.json"
    save.write_text(json.dumps({"type": "FeatureCollection", "features": world.items()}))
    world.forget()
    source = open_source(
        f"optical={save},radar=stac+{world.url}", reading=Reading({"optical": ("B2",), "radar": ("VV",)})
    )
    assert source.bands == {"optical": ("B2",), "radar": ("VV",)}
    stack = source.open(GRID, MAY).compute()
    alone = read(world.url, Reading({"optical": ("B2",), "radar": ("VV",)}))
    for name, group in groups_of(stack).items():
        assert group.identical(alone[name])
    assert source.recipe.s1_product == "gamma0" and origin_of(stack).radar_pass == "descending"
    with pytest.raises(SourceError, match="has no radar"):
        save.write_text(
            json.dumps(
                {
                    "type": "FeatureCollection",
                    "features": [i for i in world.items() if i["id"].startswith("S2")],
                }
            )
        )
        open_source(f"radar={save},optical={save}")
