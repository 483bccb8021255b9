"""The page in a real browser: no outside request, no error, and every control does what it says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from browsing import SIZES, Visit, eventually, show
from packaged import COLORS, NASTY

from geocomiss.viewing import ViewRequest, view_map

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    view_map(ViewRequest(folder, out, title=f"<b>{NASTY[1]}</b>"))
    return out / "report.html"


@pytest.fixture
def visit(browser: Any, report: Path) -> Iterator[Any]:
    opened: list[Any] = []

    def start(size: str = "desk") -> Visit:
        width, height = SIZES[size]
        page = browser.new_page(viewport={"width": width, "height": height})
        opened.append(page)
        visit = Visit(page)
        page.goto(report.as_uri())
        page.wait_for_selector("body[data-ready=yes]")
        return visit

    yield start
    for page in opened:
        page.close()


def overlay_colors(page: Any) -> set[str]:
    """Colours of the picture that lies on the map."""
    return set(
        page.evaluate(
            """async () => {
              const image = [...document.querySelectorAll(".leaflet-image-layer")].at(-1);
              try { await image.decode(); } catch { return []; }  // it was replaced meanwhile: asked again
              const canvas = document.createElement("canvas");
              canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
              const context = canvas.getContext("2d");
              context.drawImage(image, 0, 0);
              const data = context.getImageData(0, 0, canvas.width, canvas.height).data, found = new Set();
              const hex = (part) => part.toString(16).padStart(2, "0");
              for (let i = 0; i < data.length; i += 4)
                if (data[i + 3]) found.add("#" + [...data.slice(i, i + 3)].map(hex).join(""));
              return [...found];
            }"""
        )
    )


def test_the_page_asks_nobody_for_anything_and_does_not_complain(visit: Any) -> None:
    one = visit()
    for layer in ("confidence", "modalities", "observations", "true_color", "crop_type"):
        show(one.page, layer)
    one.page.click("#map")
    one.page.wait_for_selector("#told dl")
    assert (one.outside, one.complaints) == ([], [])


def test_names_are_words_and_never_markup(visit: Any) -> None:
    one = visit()
    shown = one.page.eval_on_selector_all(
        "#legend .name span:last-child", "found => found.map(each => each.textContent)"
    )
    assert shown == list(NASTY)
    assert one.page.inner_text("h1").startswith("<b><script>")
    assert one.page.query_selector("h1 b, #legend b, #legend script, #told b") is None
    assert one.complaints == []  # no alert either


def test_the_map_has_the_colours_of_its_classes_and_classes_can_be_hidden(visit: Any, folder: Path) -> None:
    with rasterio.open(folder / "crop_type.tif") as file:
        present = [value for value in np.unique(file.read(1)) if value]
    page = visit().page
    eventually(lambda: overlay_colors(page), {COLORS[value - 1] for value in present})
    page.uncheck(f"#legend tbody tr:nth-child({present[0]}) input")
    eventually(lambda: overlay_colors(page), {COLORS[value - 1] for value in present[1:]})


def test_layers_switch_with_their_legends_and_opacity(visit: Any) -> None:
    page = visit().page
    show(page, "confidence")
    assert page.inner_text("#legend-title").lower() == "confidence"
    assert "100 %" in page.inner_text("#legend")
    show(page, "modalities")
    assert "optical + radar + weather + topography" in page.inner_text("#legend")
    show(page, "true_color")
    eventually(lambda: len(overlay_colors(page)) > 20, True)
    page.fill("#opacity", "30")
    assert page.eval_on_selector(".leaflet-image-layer", "each => each.style.opacity") == "0.3"


def test_a_click_tells_what_the_rasters_hold_there(visit: Any, folder: Path) -> None:
    """Compared with the rasters themselves, at the place that the page says was clicked."""
    page = visit().page
    with (
        rasterio.open(folder / "crop_type.tif") as crop,
        rasterio.open(folder / "confidence.tif") as confidence,
        rasterio.open(folder / "modalities.tif") as used,
        rasterio.open(folder / "ndvi.tif") as ndvi,
    ):
        box = page.locator("#map").bounding_box()
        for share in (0.35, 0.5, 0.62):
            page.evaluate("document.getElementById('told').replaceChildren()")
            page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] * share)
            page.wait_for_selector("#told #curve")
            told = dict(
                page.eval_on_selector_all(
                    "#told dt", "all => all.map(each => [each.textContent, each.nextSibling.textContent])"
                )
            )
            lat, lon = map(float, told["Place"].split(", "))
            (x,), (y,) = rasterio.warp.transform("EPSG:4326", crop.crs, [lon], [lat])
            around = [(x + dx, y + dy) for dx in (-10, 0, 10) for dy in (-10, 0, 10)]  # warped: a pixel off
            values = {NASTY[value - 1] if value else "no class" for (value,) in crop.sample(around)}
            assert told["Crop type"] in values
            shares = {round(value * 0.5) for (value,) in confidence.sample(around) if value < 255}
            assert min(abs(int(told["Confidence"].split()[0]) - each) for each in shares) <= 2
            names = {bits for (bits,) in used.sample(around)}
            assert any(("radar" in told["Modalities used"]) == bool(bits & 2) for bits in names)
            curve = page.get_attribute("#curve", "aria-label").removeprefix("NDVI: ").split(", ")
            assert len(curve) == 12
            rows = [[None if v == 255 else -1 + v * 0.01 for v in row] for row in ndvi.sample(around)]
            drawn = [None if each.startswith("no") else float(each) for each in curve]
            assert any(drawn == pytest.approx(row, abs=0.011) for row in rows if _same_gaps(drawn, row))


def _same_gaps(one: list[float | None], other: list[float | None]) -> bool:
    return [each is None for each in one] == [each is None for each in other]


def test_the_keyboard_reaches_everything(visit: Any) -> None:
    page = visit().page
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.name || document.activeElement.type"
            )
        )
    assert {"map", "layer", "opacity", "distinct", "checkbox"} <= set(reached)
    page.focus("#map")
    page.keyboard.press("Enter")
    page.wait_for_selector("#told dl")
    page.focus("input[value=crop_type]")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("body[data-layer=confidence]")


@pytest.mark.parametrize("size", SIZES)
def test_it_looks_whole_at_every_size(visit: Any, tmp_path: Path, size: str) -> None:
    one = visit(size)
    picture = tmp_path / f"{size}.png"
    one.page.screenshot(path=picture)
    with rasterio.open(picture) as file:
        drawn = file.read()[:3].reshape(3, -1).T
    assert len(np.unique(drawn, axis=0)) > 20
    assert tuple(bytes.fromhex(COLORS[0][1:])) in set(map(tuple, drawn.tolist())) or size == "phone"
    wide = one.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1]  # nothing sticks out sideways
    map_box, side = one.page.locator("#map").bounding_box(), one.page.locator("aside").bounding_box()
    assert map_box["height"] > 250
    assert side["y"] > map_box["y"] + 200 if size == "phone" else side["x"] > map_box["x"] + 500
