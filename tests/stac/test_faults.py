"""What goes wrong on the way: gone, truncated and slow files, refused requests, odd metadata, holes."""

import re
import shutil
import struct
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError
from stac_server import StacServer, serving
from urllib3 import Retry

from geocomiss.errors import SourceError
from geocomiss.seasons import Calendar
from geocomiss.sources import open_source
from geocomiss.sources.base import Reading
from geocomiss.sources.stac.catalogues import PRODUCTS
from geocomiss.sources.stac.finders import CatalogueFinder
from geocomiss.sources.stac.reading import _reason
from geocomiss.sources.stac.signing import Signer
from geocomiss.sources.stac.source import StacSource
from geocomiss.stack import groups_of, origin_of

GRID = GeoBox((80, 72), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")
MAY = Calendar(date(2021, 5, 1), "month", 1)
OPTICAL = Reading({"optical": ("B2", "B4")})
QUICK = Retry(total=3, backoff_factor=0.01, status_forcelist=(429,))


def read(url: str, reading: Reading = OPTICAL, season: Calendar = MAY) -> tuple[dict[str, Any], StacSource]:
    source = open_source(f"stac+{url}", reading=reading)
    assert isinstance(source, StacSource)
    return groups_of(source.open(GRID, season).compute()), source


def in_may(server: StacServer, kind: str) -> list[dict[str, Any]]:
    items = [i for i in server.items() if i["id"].startswith(kind)]
    return sorted((i for i in items if "2021-05" in i["properties"]["datetime"]), key=lambda i: i["id"])


def change(server: StacServer, kind: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit all items whose names begin so."""
    items = server.items()
    for item in items:
        if item["id"].startswith(kind):
            edit(item)
    server.tell(only=items)


def test_a_file_that_is_gone_is_missing_counted_and_named(world: StacServer) -> None:
    expected, _ = read(world.url)
    world.renew()
    gone = min(in_may(world, "S2"), key=lambda item: item["properties"]["eo:cloud_cover"])["id"]
    world.fail(gone=[f"/files/{gone}/SCL.tif"])
    found, source = read(world.url)
    assert (found["optical"]["count"] <= expected["optical"]["count"]).all()
    assert (found["optical"]["count"] < expected["optical"]["count"]).any()
    (warning,) = source.account()[1]
    assert "1 of " in warning and f"{gone}/SCL.tif" in warning and "missing observations" in warning


def test_an_address_that_was_signed_long_ago_is_said_to_be(world: StacServer) -> None:
    world.renew()  # with something behind the question mark
    world.fail(once={f"/files/{in_may(world, 'S2')[0]['id']}/SCL.tif": (403, 9)})
    _, source = read(world.url)
    assert "SCL.tif (HTTP 403: signed addresses hold for a time only)" in source.account()[1][0]


def test_a_truncated_file_is_missing_and_named(tmp_path: Path, world: StacServer) -> None:
    world.renew()
    item = in_may(world, "S2")[0]
    path = world.folder / item["id"] / "B04.tif"
    kept = tmp_path / "kept.tif"
    shutil.copy(path, kept)
    try:
        path.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
        _, source = read(world.url)
    finally:
        shutil.copy(kept, path)
    assert "B04.tif" in source.account()[1][0]


def test_an_image_that_does_not_say_where_it_lies_is_missing_and_not_kept(
    tmp_path: Path, world: StacServer
) -> None:
    reading = replace(OPTICAL, keep=tmp_path)
    expected, _ = read(world.url)
    world.renew()
    path = world.folder / in_may(world, "S2")[0]["id"] / "SCL.tif"
    whole, code = path.read_bytes(), struct.pack("<3H", 3072, 0, 1)
    try:
        path.write_bytes(whole.replace(code + struct.pack("<H", 32631), code + b"\x01\x00"))
        _, source = read(world.url, reading)
    finally:
        path.write_bytes(whole)
    assert "SCL.tif (it does not say where it lies)" in source.account()[1][0]
    found, source = read(world.url, reading)
    assert found["optical"].equals(expected["optical"]) and not source.account()[1]


def test_reasons_of_gdal_hold_no_address_and_no_token() -> None:
    address = "https://a.net/B04.tif?sv=1&sig=secret"
    said = (
        f"'/vsicurl/{address}' not recognized as being in a supported format",
        "B04.tif?sig=secret, band 1: bad",
    )
    reasons = [_reason(RasterioIOError(text), address) for text in said]
    assert reasons == ["the answer not recognized as being in a supported format", "B04.tif band 1: bad"]


def test_a_run_stops_where_too_much_is_unreadable(world: StacServer) -> None:
    world.fail(gone=[f"/files/{item['id']}/B02.tif" for item in in_may(world, "S2")])
    with pytest.raises(SourceError, match="at most 10% unreadable"):
        read(world.url)
    world.renew()
    found, source = read(world.url, Reading(OPTICAL.wanted, max_unreadable=0.5))
    assert np.isnan(found["optical"]["B2"]).all() and np.isfinite(found["optical"]["B4"]).any()
    assert source.account()[1]


def test_a_page_that_fails_once_is_asked_again(world: StacServer) -> None:
    expected, _ = read(world.url)
    world.fail(once={"/search": (503, 1)})
    found, _ = read(world.url)
    assert found["optical"].identical(expected["optical"])


def test_a_page_that_breaks_off_is_asked_for_again(world: StacServer) -> None:
    expected, _ = read(world.url)
    world.fail(broken={"/search": 2})
    found, _ = read(world.url)
    assert found["optical"].equals(expected["optical"])


def test_pages_that_repeat_come_to_an_end(world: StacServer) -> None:
    world.fail(repeats=True)
    with pytest.raises(SourceError, match="pages repeat"):
        CatalogueFinder(f"stac+{world.url}").items("s2", (4.9, 50.6, 5.0, 50.7), (None, None))


def test_a_server_that_answers_late_changes_nothing(world: StacServer) -> None:
    expected, _ = read(world.url)
    world.fail(slow=0.05)
    found, source = read(world.url)
    assert found["optical"].identical(expected["optical"]) and not source.account()[1]


def test_a_catalogue_that_is_not_there_is_said_in_words() -> None:
    with pytest.raises(SourceError, match="does not answer a search"):
        open_source("stac+http://127.0.0.1:9/")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("stac+", "the address of a STAC API"),
        ("stac+ftp://x", "of a STAC API"),
        ("stac+{}/search", "item search"),
    ],
)
def test_what_is_no_catalogue_is_said_in_words(world: StacServer, address: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        open_source(address.format(world.url))


def test_tokens_are_asked_for_again_after_429_and_kept(world: StacServer) -> None:
    with serving(world.folder, signed=True) as server:
        items = in_may(world, "S2")
        for item in items:
            for asset in item["assets"].values():
                asset["href"] = asset["href"].replace(world.url, server.url)
        server.tell(only=items)
        server.fail(once={"/token/files/all": (429, 2)})
        sign = Signer(
            f"{server.url}/token", re.compile(r"http://127.*/(?P<account>files)/(?P<container>)"), QUICK
        )
        sign._token = lambda key, ask=sign._token: ask(("files", "all"))  # type: ignore[method-assign]
        source = StacSource(CatalogueFinder(f"stac+{server.url}"), None, OPTICAL, sign)
        found = groups_of(source.open(GRID, MAY).compute())
        assert server.asked("/token")["/token/files/all"] == 3, "two refused, one answered and kept"
    assert np.isfinite(found["optical"]["B2"]).any() and not source.account()[1]


def test_a_token_service_that_only_refuses_is_said_in_words(world: StacServer) -> None:
    world.fail(once={"/token/account/container": (429, 9)})
    sign = Signer(f"{world.url}/token", re.compile(r"x://(?P<account>\w+)/(?P<container>\w+)/"), QUICK)
    with pytest.raises(SourceError, match="no token"):
        sign("x://account/container/a.tif")


@pytest.mark.parametrize("answer", [[], {"token": "a"}, {"token": "a", "msft:expiry": "soon"}])
def test_a_token_service_that_answers_with_something_else_is_said_in_words(
    answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests.Response, "json", lambda self: answer)
    monkeypatch.setattr(requests.Response, "raise_for_status", lambda self: None)
    monkeypatch.setattr(requests.Session, "get", lambda self, *given, **named: requests.Response())
    with pytest.raises(SourceError, match="no token"):
        Signer()("https://account.blob.core.windows.net/container/a.tif")


def test_addresses_of_others_are_left_alone() -> None:
    assert (
        Signer()("https://sentinel-cogs.s3.amazonaws.com/a.tif")
        == "https://sentinel-cogs.s3.amazonaws.com/a.tif"
    )


def test_a_baseline_change_within_the_season_changes_no_value(world: StacServer, tmp_path: Path) -> None:
    """Half of the images as the new baseline delivers them: 1000 more, said by the metadata alone."""
    import rasterio

    expected, _ = read(world.url)
    later = in_may(world, "S2")[3:]
    moved = []
    for item in later:
        for key in ("B02", "B04"):
            path = world.folder / item["id"] / f"{key}.tif"
            moved.append((path, path.read_bytes()))
            with rasterio.open(path) as file:
                values, profile = file.read(1), file.profile
            shifted = np.where(values == 0, 0, values + 1000).astype("u2")
            with rasterio.open(path, "w", **profile | {"driver": "GTiff"}) as file:
                file.write(shifted, 1)
    names = {item["id"] for item in later}
    try:
        world.renew()
        change(
            world,
            "S2",
            lambda i: i["properties"].update({"s2:processing_baseline": "04.00"} if i["id"] in names else {}),
        )
        found, source = read(f"{world.url}/")
    finally:
        for path, content in moved:
            path.write_bytes(content)
    for band in ("B2", "B4", "count"):
        np.testing.assert_array_equal(found["optical"][band].values, expected["optical"][band].values)
    notes = origin_of(source.open(GRID, MAY)).notes
    assert any("the offset of reflectance is taken from" in note for note in notes)


def test_wrong_metadata_raise_an_alarm(world: StacServer) -> None:
    change(world, "S2", lambda i: i["properties"].update({"s2:processing_baseline": "05.00"}))
    _, source = read(world.url)
    assert any("taken away twice" in each for each in source.account()[1])


def test_reprocessed_twins_count_once(world: StacServer) -> None:
    expected, _ = read(world.url)
    for item in in_may(world, "S2"):
        twin = deepcopy(item)
        twin["id"] = f"{item['id']}-old"
        twin["properties"]["s2:processing_baseline"] = "02.09"
        world.add(twin)
    found, source = read(world.url)
    assert found["optical"].identical(expected["optical"])
    assert any("older versions of others" in note for note in origin_of(source.open(GRID, MAY)).notes)


def test_months_without_radar_are_missing_and_named(world: StacServer) -> None:
    world.tell(
        only=[
            i
            for i in world.items()
            if not (i["id"].startswith("S1-202105") or i["id"].startswith("S1-202106"))
        ]
    )
    spring = Calendar(date(2021, 4, 1), "month", 3)
    found, source = read(world.url, Reading({"radar": ("VV", "VH")}), spring)
    assert np.isfinite(found["radar"]["VV"][0]).any() and np.isnan(found["radar"]["VV"][1:]).all()
    assert "radar: no acquisition in 2021-05, 2021-06" in origin_of(source.open(GRID, spring)).notes


def test_bands_that_images_lack_are_named(world: StacServer) -> None:
    lacking = {in_may(world, "S2")[0]["id"]}

    def without_red(item: dict[str, Any]) -> None:
        if item["id"] in lacking:
            del item["assets"][PRODUCTS["s2"].assets["B4"]]

    change(world, "S2", without_red)
    found, source = read(world.url)
    (told,) = [note for note in origin_of(source.open(GRID, MAY)).notes if "have no" in note]
    world.tell(only=[item for item in world.items() if item["id"] not in lacking])
    without, _ = read(world.url)
    xr.testing.assert_equal(found["optical"]["B4"], without["optical"]["B4"])
    assert (found["optical"]["B2"] != without["optical"]["B2"]).any(), "its other bands count"
    assert re.fullmatch(r"optical: 1 of \d+ images have no B4", told)


def test_only_one_pass_direction_is_used(world: StacServer) -> None:
    def turn(item: dict[str, Any]) -> None:
        if int(item["id"][-2:]) > 20:
            item["properties"]["sat:orbit_state"] = "ascending"

    change(world, "S1", turn)
    found, source = read(world.url, Reading({"radar": ("VV", "VH")}))
    origin = origin_of(source.open(GRID, MAY))
    assert origin.radar_pass == "descending" and "only descending radar passes are used" in origin.notes
    assert found["radar"]["count"].max() < len(in_may(world, "S1"))


def test_max_cloud_leaves_images_out(world: StacServer) -> None:
    clear = [i for i in in_may(world, "S2") if i["properties"]["eo:cloud_cover"] <= 40]
    found, source = read(world.url, Reading(OPTICAL.wanted, max_cloud=40))
    assert found["optical"]["count"].max() <= len(clear) < len(in_may(world, "S2"))
    assert any("over 40 % cloud cover" in note for note in origin_of(source.open(GRID, MAY)).notes)


def test_images_in_another_utm_zone_are_brought_to_the_grid(world: StacServer) -> None:
    """The same area asked for in the next zone: values are those of the pixels in which centres lie."""
    box = GRID.extent.to_crs("EPSG:32632").boundingbox
    left, top = np.ceil(box.left / 10) * 10 + 100, np.floor(box.top / 10) * 10 - 100
    other = GeoBox((40, 40), Affine(10, 0, left, 0, -10, top), "EPSG:32632")
    source = open_source(f"stac+{world.url}", reading=Reading({"radar": ("VV", "VH")}))
    found = groups_of(source.open(other, MAY).compute())["radar"]["VV"].values[0]
    own = groups_of(source.open(GRID, MAY).compute())["radar"]["VV"].values[0]
    x, y = np.meshgrid(left + 10 * np.arange(40) + 5, top - 10 * np.arange(40) - 5)
    from pyproj import Transformer

    x, y = Transformer.from_crs(32632, 32631, always_xy=True).transform(x, y)
    col, row = (np.floor((x - 640_000) / 10)).astype(int), (np.floor((5_610_000 - y) / 10)).astype(int)
    within = (col >= 0) & (col < 72) & (row >= 0) & (row < 80) & np.isfinite(found)
    same = found[within] == own[row[within], col[within]]
    assert within.sum() > 500 and same.mean() > 0.98  # centres on an edge may fall to either side
