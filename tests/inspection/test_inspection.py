"""`geocomiss info`: everything is recognised by looking at it."""

import json
from dataclasses import fields
from pathlib import Path
from zipfile import ZipFile

import geopandas
import numpy as np
import pytest
from gappy import BANDS, GRID, RECIPE, gappy_groups, store, untrained
from shapely.geometry import box
from typer.testing import CliRunner

from geocomiss.errors import GeocomissError
from geocomiss.grid import pixel_hectares
from geocomiss.inspection import inspect
from geocomiss.maps import AREA_NOTE, Category, Layer, write_cog
from geocomiss.methods import METHODS
from geocomiss_cli.main import app

CLASSES = (Category(1, "maize", "#ffd300"), Category(2, "[b]wheat", "#a57000"))


def told(path: Path | str) -> dict[str, object]:
    """What `info --json` prints."""
    done = CliRunner().invoke(app, ["info", str(path), "--json"])
    assert done.exit_code == 0, done.output
    facts: dict[str, object] = json.loads(done.stdout)
    assert facts == json.loads(json.dumps(inspect(str(path))))
    table = CliRunner().invoke(app, ["info", str(path)], env={"COLUMNS": "200"})
    assert table.exit_code == 0 and str(facts["what"]) in table.stdout
    return facts


def samples(folder: Path, **changes: np.ndarray) -> Path:
    """A table of 40 samples, half of the radar missing."""
    rng = np.random.default_rng(0)
    valid = np.ones((40, 12, 2), bool)
    valid[:, ::2] = False
    arrays = {
        "X": np.where(valid, rng.uniform(-20, -10, valid.shape), 0).astype("f4"),
        "valid": valid,
        "bands": np.array(["VV", "VH"]),
        "month": np.tile(np.arange(12), (40, 1)),
        "lat": rng.uniform(50, 51, 40),
        "lon": rng.uniform(4, 5, 40),
        "label": np.array(["maize"] * 30 + ["wheat"] * 10),
        "fold": np.arange(40) % 5,
        "yield": rng.normal(size=40),
    }
    np.savez(folder / "t.npz", **(arrays | changes))
    return folder / "t.npz"


def layer(folder: Path, software: str = "geocomiss 0.1.0") -> tuple[Path, np.ndarray]:
    """A map of two classes on `GRID`."""
    values = np.random.default_rng(0).integers(0, 3, GRID.shape).astype("u1")
    whole = (slice(0, GRID.height), slice(0, GRID.width), values)
    kind = Layer("crop_type", nodata=0, description="crop type", categories=CLASSES, overviews="mode")
    write_cog(folder / "crop_type.tif", kind, GRID, [whole], {"software": software}, folder / "work")
    return folder / "crop_type.tif", values


def test_an_area_is_known_by_its_size() -> None:
    facts = told("4.8,50.6,4.9,50.7")
    assert facts["what"] == "an area of interest"
    assert facts["bounds"] == [4.8, 50.6, 4.9, 50.7]
    assert facts["hectares"] == pytest.approx(7867.5, abs=0.1)
    assert facts["grid at 10 m"]["crs"] == "EPSG:32631"  # type: ignore[index]


def test_a_zipped_shapefile_is_an_area_too(tmp_path: Path) -> None:
    geopandas.GeoDataFrame(geometry=[box(4.8, 50.6, 4.9, 50.7)], crs=4326).to_file(tmp_path / "a.shp")
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        for each in sorted(tmp_path.glob("a.*")):
            if each.suffix != ".zip":
                archive.write(each, each.name)
    assert told(tmp_path / "a.zip")["hectares"] == pytest.approx(7867.5, abs=0.1)
    samples(tmp_path).rename(tmp_path / "table")  # known by what it holds, not by its name
    assert "samples" in told(tmp_path / "table")


def test_a_stack_is_known_by_its_bands_and_how_full_it_is(tmp_path: Path) -> None:
    facts = told(store(tmp_path, gappy_groups()))
    assert str(facts["what"]).startswith("a stack")
    rows = {row["modality"]: row for row in facts["modalities"]}  # type: ignore[attr-defined]
    assert {name: tuple(row["bands"]) for name, row in rows.items()} == BANDS
    optical = np.isfinite(gappy_groups()["optical"]["B2"].values).mean()
    assert rows["optical"]["valid in the middle"] == pytest.approx(optical, abs=1e-4)
    assert facts["recipe"]["name"] == RECIPE.name  # type: ignore[index]
    assert facts["calendar"]["first day"] == "2021-01-01"  # type: ignore[index]


def test_a_table_is_known_by_its_columns(tmp_path: Path) -> None:
    facts = told(samples(tmp_path))
    assert (facts["samples"], facts["steps"]) == (40, 12)
    assert facts["modalities"] == [{"modality": "radar", "valid": 0.5, "bands": ["VV", "VH"]}]
    columns = {row["column"]: row["samples"] for row in facts["columns"]}  # type: ignore[attr-defined]
    assert columns == {"label": {"maize": 30, "wheat": 10}, "fold": {str(k): 8 for k in range(5)}}


def test_a_table_never_shows_points(tmp_path: Path) -> None:
    path = samples(tmp_path)
    with np.load(path) as table:
        point = f"{table['lat'][7]:.6f}"
    assert point not in json.dumps(inspect(str(path)))


def test_a_model_is_known_by_its_card(tmp_path: Path) -> None:
    facts = told(untrained(tmp_path))
    assert (facts["what"], facts["method"], facts["scores"]) == ("a model", "comiss", "never scored")
    assert [row["name"] for row in facts["classes"]] == ["maize", "wheat", "non_crop"]  # type: ignore[attr-defined]
    assert facts["time steps"] == "12 steps of a month, January to December"


@pytest.mark.parametrize("name", METHODS)
def test_a_method_lists_every_option_with_its_meaning(name: str) -> None:
    facts = inspect(name)
    stated = {each["option"]: each for each in facts["options"]}
    options = METHODS[name].options_type
    assert set(stated) == {field.name for field in fields(options)}
    for field in fields(options):
        each = stated[field.name]
        assert each["meaning"] and each["allowed"], field.name
        assert each["default"] == json.dumps(getattr(options(), field.name)).strip('"')


def test_the_options_of_a_method_are_shown() -> None:
    facts = told("fullco")
    assert str(facts["what"]).startswith("a method: ")
    shown = {each["option"]: each for each in facts["options"]}  # type: ignore[attr-defined]
    assert shown["temperature"]["allowed"] == "> 0" and shown["auxiliary"]["allowed"] == "true | false"
    assert shown["fusion"]["allowed"] == "logits | probabilities | entropy"


@pytest.mark.parametrize("name", ["card.json", "model.safetensors"])
def test_a_part_of_a_model_speaks_for_the_whole(tmp_path: Path, name: str) -> None:
    assert told(untrained(tmp_path) / name)["what"] == "a model"


def test_a_layer_is_known_by_its_areas(tmp_path: Path) -> None:
    path, values = layer(tmp_path)
    facts = told(path)
    assert facts["what"] == "a layer of a map: crop type"
    for row, each in zip(facts[AREA_NOTE], CLASSES, strict=True):  # type: ignore[call-overload]
        assert (row["name"], row["pixels"]) == (each.name, (values == each.value).sum())
        assert row["area_ha"] == pytest.approx(pixel_hectares(GRID)[values == each.value].sum(), abs=1e-4)


def test_a_map_is_known_by_its_summary(tmp_path: Path) -> None:
    layer(tmp_path)
    classes = [{"value": 1, "name": "maize", "color": "#ffd300", "pixels": 5, "area_ha": 0.05}]
    summary = {
        "label": "SIMULATED MODEL",
        "classes": classes,
        "season": {"start": "2021-01-01", "end": "2021-12-31"},
        "files": ["crop_type.tif", "gone.tif"],
        "model": {"sha256": "ab", "method": "comiss", "trained_on": "simulated", "simulated": True},
        "source": {"name": "stack"},
    }
    (tmp_path / "run.json").write_text(json.dumps(summary))
    facts = told(tmp_path)
    assert (facts["what"], facts["label"], facts["source"]) == ("a map", "SIMULATED MODEL", "stack")
    assert facts["files"] == ["crop_type.tif"]
    assert facts[AREA_NOTE] == classes


def test_an_unfinished_map_is_said(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    facts = told(tmp_path)
    assert facts["what"] == "an unfinished map" and facts["how far it is"] == f"geocomiss status {tmp_path}"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.npz", b"PK nonsense"),
        ("x.tif", b"II*\0nonsense"),
        ("x.nc", b"CDF\x01nonsense"),
        ("x.txt", b"hello"),
        ("empty", b""),
    ],
)
def test_what_is_nothing_of_ours_is_said(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GeocomissError):
        inspect(str(tmp_path / name))


@pytest.mark.parametrize("text", ["nowhere", "nowhere.zarr", "1,2,3", "POLYGON((", "x" * 400])
def test_what_is_not_there_is_said(text: str) -> None:
    with pytest.raises(GeocomissError):
        inspect(text)


def test_broken_folders_are_said(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(GeocomissError, match=r"run\.json"):
        inspect(str(tmp_path))
    (tmp_path / "run.json").rename(tmp_path / "card.json")
    with pytest.raises(GeocomissError, match=r"card|safetensors"):
        inspect(str(tmp_path))


def test_a_geotiff_of_others_is_no_layer_of_ours(tmp_path: Path) -> None:
    path, _ = layer(tmp_path, software="another program")
    with pytest.raises(GeocomissError):
        inspect(str(path))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("aoi/hesbaye_2020-08_2022-03.nc", "a stack: "),
        ("aoi/98-togo_2019-02-06_2020-02-01.tif", "a stack: "),
        ("patches", "a stack: "),
        ("samples/canada2017.npz", "a table of labelled samples"),
    ],
)
def test_real_files_are_known(shared: Path, name: str, what: str) -> None:
    facts = inspect(str(shared / "data" / name))
    assert str(facts["what"]).startswith(what)
    if name.startswith("samples"):
        (labels,) = [row for row in facts["columns"] if row["column"] == "label"]
        assert labels["classes"] == 11 and sum(labels["samples"].values()) == 2721
    if "togo" in name:
        (terrain,) = [row for row in facts["modalities"] if row["modality"] == "topography"]
        assert 0.60 <= terrain["valid in the middle"] <= 0.62 + 0.01


def test_every_kind_of_samples_table_is_known(shared):
    folder = shared / "data" / "samples"
    long, wide = (
        inspect(str(folder / "canada2017_long.parquet")),
        inspect(str(folder / "worldcereal_global_wide.parquet")),
    )
    assert long["what"] == wide["what"] == "a table of labelled samples"
    assert (long["samples"], long["steps"], long["recipe"]) == (2721, 20, "monthly-l2a")
    assert "CROPTYPE_LABEL" in {column["column"] for column in wide["columns"]}
