"""Pictures and pages of maps: whole ones, damaged ones, and those of other tools."""

import json
import re
import shutil
from pathlib import Path
from warnings import catch_warnings

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from foreign import FIELDS, foreign
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from odc.geo.geobox import GeoBox
from packaged import NASTY
from PIL import Image

from geocomiss.errors import MapError
from geocomiss.maps.layers import other_color
from geocomiss.viewing import ViewRequest, open_map_to_view, view_map
from geocomiss.viewing.fonts import fonts_for
from geocomiss.viewing.frames import frame_of, picture_of
from geocomiss.viewing.marks import draw_north, draw_scale_bar
from geocomiss.viewing.preview import fitting
from geocomiss.viewing.report import write_report


def content(page: Path) -> dict:
    found = re.search(
        '<script id="content" type="application/json">(.*?)</script>', page.read_text("utf-8"), re.S
    )
    assert found
    return json.loads(found[1])


def test_the_page_holds_everything_and_links_to_nothing(folder: Path, tmp_path: Path) -> None:
    report = view_map(ViewRequest(folder, tmp_path))
    assert all("no installed font" in each for each in report.missing)
    page = tmp_path / "report.html"
    text = page.read_text("utf-8")
    assert not re.findall(r"""(?:src|href)=["']?(?!data:)[^"' >]+""", text.split("<script", 1)[0])
    assert "url(images" not in text and text.count("<script") == text.count("</script>") == 3
    held = content(page)
    assert [each["name"] for each in held["areas"]] == list(NASTY)
    assert {each["name"] for each in held["layers"]} == {
        "crop_type", "confidence", "modalities", "observations", "true_color", "ndvi"
    }  # fmt: skip
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert [each["ha"] for each in held["areas"]] == pytest.approx(
        [each["area_ha"] for each in run["classes"]], abs=1e-3
    )


def test_the_picture_is_drawn_with_names_of_all_kinds(folder: Path, tmp_path: Path) -> None:
    view_map(ViewRequest(folder, tmp_path))
    with Image.open(tmp_path / "preview.png") as picture:
        assert min(picture.size) > 600 and len(picture.convert("RGB").getcolors(1 << 24)) > 50


def test_a_user_legend_wins(folder: Path, tmp_path: Path) -> None:
    legend = tmp_path / "legend.csv"
    legend.write_text("value,name,color\n2,Café,#123456\n", encoding="utf-8")
    view_map(ViewRequest(folder, tmp_path, legend=legend))
    held = content(tmp_path / "report.html")
    assert [(each["name"], each["color"]) for each in held["areas"]][1] == ("Café", "#123456")


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", "EPSG:3035"])
def test_a_map_of_another_tool_is_shown(tmp_path: Path, crs: str) -> None:
    report = view_map(ViewRequest(foreign(tmp_path / "theirs.tif", crs=crs, nodata=0)))
    assert any("names and colours" in each for each in report.missing)
    held = content(tmp_path / "report.html")
    assert [each["name"] for each in held["areas"]] == [f"class {value}" for value in (1, 2, 3, 4)]
    assert (tmp_path / "preview.png").exists()


def test_more_classes_than_the_legend_has(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "map")
    with rasterio.open(folder / "crop_type.tif") as file:
        values = file.read(1)
    values[:20, :20] = 9
    (tmp_path / "map" / "crop_type.tif").unlink()
    foreign(tmp_path / "map" / "crop_type.tif", values, nodata=0)
    report = view_map(ViewRequest(tmp_path / "map"))
    assert any("names of the values 9" in each for each in report.missing)
    assert content(tmp_path / "map" / "report.html")["areas"][-1]["name"] == "class 9"


def test_what_is_lost_is_named_and_the_rest_is_shown(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "map"
    shutil.copytree(folder, copy)
    (copy / "run.json").unlink()
    (copy / "crop_type.tif.aux.xml").unlink()
    (copy / "modalities.tif").unlink()
    whole = (copy / "confidence.tif").read_bytes()
    (copy / "confidence.tif").write_bytes(whole[: len(whole) // 2])
    missing = " | ".join(view_map(ViewRequest(copy)).missing)
    for each in (
        "run.json",
        "aux.xml: not there",
        "modalities.tif: not there",
        "confidence.tif: cannot be read",
    ):
        assert each in missing
    held = content(copy / "report.html")
    assert [each["color"] for each in held["areas"]][:2] == ["#ffd300", "#a57000"]  # the palette is left
    assert {"crop_type", "observations", "true_color", "ndvi"} == {each["name"] for each in held["layers"]}


def cut(folder: Path, share: float) -> Path:
    """A COG of 900 x 900 pixels of which only the beginning is there."""
    noise = np.random.default_rng(0).integers(1, 9, (900, 900)).astype("u1")
    rasterio.shutil.copy(foreign(folder / "plain.tif", noise, nodata=0), folder / "cut.tif", driver="COG")
    (folder / "plain.tif").unlink()
    whole = (folder / "cut.tif").read_bytes()
    (folder / "cut.tif").write_bytes(whole[: int(len(whole) * share)])
    return folder / "cut.tif"


def test_of_a_truncated_map_is_shown_what_is_left(tmp_path: Path) -> None:
    """Its overviews, which come first, and the areas of the blocks that are there: one or two of four."""
    report = view_map(ViewRequest(cut(tmp_path, 0.6)))
    (said,) = [each for each in report.missing if "of its pixels cannot be read" in each]
    lost = int(re.findall(r"(\d+)%", said)[0]) / 100
    held = content(tmp_path / "report.html")
    assert 0.2 < lost < 0.9
    assert sum(each["pixels"] for each in held["areas"]) == pytest.approx((1 - lost) * 900 * 900, rel=0.02)
    assert max(held["layers"][0]["size"]) in range(400, 460)
    assert any("sharp pixels" in each for each in report.missing)
    with Image.open(tmp_path / "preview.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 8


@pytest.mark.parametrize("share", [0.1, 0.005])
def test_a_map_without_pixels_is_said(tmp_path: Path, share: float) -> None:
    with pytest.raises(MapError, match=r"cannot be read|was cut"):
        view_map(ViewRequest(cut(tmp_path, share)))
    assert [each.name for each in tmp_path.iterdir()] == ["cut.tif"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda at: at / "nowhere", "does not exist"),
        (lambda at: at, "crop_type.tif does not exist"),
        (lambda at: foreign(at / "f.tif", FIELDS.astype("f4")), "float32"),
        (lambda at: foreign(at / "c.tif", crs=None), "without CRS"),
    ],
)
def test_what_is_no_map_is_said(tmp_path: Path, make: object, said: str) -> None:
    with pytest.raises(MapError, match=said):
        view_map(ViewRequest(make(tmp_path)))  # type: ignore[operator]


def test_base_tiles_are_there_only_when_asked_for(folder: Path, tmp_path: Path) -> None:
    view_map(ViewRequest(folder, tmp_path))
    assert content(tmp_path / "report.html")["basemap"] is None
    view_map(ViewRequest(folder, tmp_path, basemap="https://tiles.test/{z}/{x}/{y}.png"))
    assert content(tmp_path / "report.html")["basemap"] == "https://tiles.test/{z}/{x}/{y}.png"
    with pytest.raises(MapError, match="--basemap"):
        view_map(ViewRequest(folder, tmp_path, basemap="javascript:alert(1)"))


def test_pictures_hold_the_values_of_the_pixels_they_show(tmp_path: Path) -> None:
    """Compared pixel by pixel with the raster, at the centres of the picture's pixels."""
    path = foreign(tmp_path / "x.tif", nodata=0)
    opened = open_map_to_view(path)
    frame = frame_of(opened.grid, 500)
    picture = picture_of(*opened.main, frame, 500)
    import base64
    import io

    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.url.split(",")[1]))))
    west, south, east, north = frame.bounds
    rng = np.random.default_rng(1)
    agree = 0
    with rasterio.open(path) as file:
        for row, col in rng.integers(0, (shown.shape[0], shown.shape[1]), (200, 2)):
            x = west + (col + 0.5) * (east - west) / shown.shape[1]
            y = north - (row + 0.5) * (north - south) / shown.shape[0]
            (x,), (y,) = rasterio.warp.transform("EPSG:3857", file.crs, [x], [y])
            r, c = file.index(x, y)
            inside = 0 <= r < file.height and 0 <= c < file.width
            agree += shown[row, col] == (FIELDS[r, c] if inside else 255)
    assert agree >= 197  # the warper may err by a hair at the edges of pixels


@pytest.mark.slow
def test_a_page_of_a_large_map_stays_below_five_megabytes(folder: Path, tmp_path: Path) -> None:
    """2,000 x 2,000 pixels: fields of 20 pixels with speckle, confidence without any order."""
    rng = np.random.default_rng(0)
    classes = np.kron(rng.integers(1, 8, (100, 100)), np.ones((20, 20))).astype("u1")
    classes[rng.random(classes.shape) < 0.05] = 3
    foreign(tmp_path / "crop_type.tif", classes, nodata=0)
    foreign(tmp_path / "confidence.tif", rng.integers(60, 201, classes.shape).astype("u1"), nodata=255)
    foreign(tmp_path / "modalities.tif", rng.choice([3, 15], classes.shape).astype("u1"), nodata=255)
    opened = open_map_to_view(tmp_path)
    write_report(tmp_path / "report.html", opened)
    size = (tmp_path / "report.html").stat().st_size
    assert size < 5_000_000
    sharpest = next(
        each for each in content(tmp_path / "report.html")["layers"] if each["name"] == "crop_type"
    )
    assert max(sharpest["size"]) >= 1990


@pytest.mark.parametrize("shape", [(900, 100), (100, 900), (64, 64)])
def test_marks_lie_on_the_map_whatever_its_shape(shape: tuple[int, int]) -> None:
    grid = GeoBox(shape, Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")
    inches = (6.6, 6.6 * shape[0] / shape[1]) if shape[0] <= shape[1] else (9.5 * shape[1] / shape[0], 9.5)
    figure = Figure(figsize=inches)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(np.zeros(shape), aspect="auto")
    draw_scale_bar(axes, grid, shape, inches)
    draw_north(axes, grid, inches)
    figure.canvas.draw()
    for mark in (*axes.patches, *axes.texts):
        drawn, whole = mark.get_window_extent(), axes.get_window_extent()
        assert drawn.x0 >= whole.x0 and drawn.x1 <= whole.x1, mark
        assert drawn.y0 >= whole.y0 and drawn.y1 <= whole.y1, mark
    length = float(axes.texts[0].get_text().split()[0])
    length *= 1000 if "km" in axes.texts[0].get_text() else 1
    halves = [each for each in axes.patches if each.get_facecolor()[3] == 1]
    assert sum(each.get_width() for each in halves) * 10 == pytest.approx(length, rel=1e-3)


def test_units_of_another_tool_are_no_probabilities(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "map")
    (tmp_path / "map" / "confidence.tif").unlink()
    percent = np.random.default_rng(0).integers(20, 101, (45, 60)).astype("u1")
    foreign(tmp_path / "map" / "confidence.tif", percent, nodata=255)
    opened = open_map_to_view(tmp_path / "map")
    named = opened.named("confidence")
    assert named and named[1].span is None  # neither drawn from 0 to 1 nor told as 5000 %


def test_letters_that_no_font_draws_are_named() -> None:
    families, missing = fonts_for(["maize \u5c0f \U0001f33d"])
    assert families[0] == "DejaVu Sans" and not any(each.startswith("Last Resort") for each in families)
    drawn = {letter for each in families for letter in "\u5c0f\U0001f33d" if _has(each, letter)}
    assert set(missing) == set("\u5c0f\U0001f33d") - drawn


def _has(family: str, letter: str) -> bool:
    return bool(get_font(fontManager.findfont(family)).get_char_index(ord(letter)))


def test_any_number_of_classes_has_colours_of_their_own() -> None:
    colors = [other_color(number) for number in range(40)]
    assert all(re.fullmatch("#[0-9a-f]{6}", each) for each in colors)
    assert len(set(colors)) >= 39  # black cannot be darker


def test_what_is_no_map_of_the_world_says_so_in_the_picture(folder: Path, tmp_path: Path) -> None:
    """Pictures travel without the page and the folder that say it, too."""
    plain = tmp_path / "plain"
    shutil.copytree(folder, plain)
    run = json.loads((plain / "run.json").read_text("utf-8"))
    drawn = []
    for label in (None, "SIMULATED WORLD"):
        (plain / "run.json").write_text(json.dumps(run | {"label": label}), "utf-8")
        view_map(ViewRequest(plain, tmp_path))
        with Image.open(tmp_path / "preview.png") as picture:
            drawn.append((np.asarray(picture.convert("RGB")) == (0xA3, 0x26, 0x1D)).all(2).sum())
    assert drawn[0] == 0 and drawn[1] > 1000


@pytest.mark.parametrize("letter", ["W", "i", "小"])
def test_names_of_wide_letters_are_cut_where_the_legend_ends(letter: str) -> None:
    with catch_warnings(action="ignore"):  # whether a font has the letter or not
        assert fitting("maize", 190) == "maize"
        cut = fitting(200 * letter, 190)
        assert cut.endswith("…") and 10 < len(cut) < 200
        assert fitting(cut, 190) == cut and len(fitting(cut, 95)) < 0.6 * len(cut)


def test_a_map_in_the_making_is_said_and_where_to_look(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    with pytest.raises(MapError, match=r"an unfinished map.*geocomiss status"):
        view_map(ViewRequest(tmp_path))
    shutil.copy(folder / "crop_type.tif", tmp_path)
    assert any("geocomiss status" in each for each in open_map_to_view(tmp_path).missing)
