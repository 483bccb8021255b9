"""Other names and colours of classes, in every output of a map."""

import csv
import json
from pathlib import Path

import pytest

from geocomiss.errors import MapError
from geocomiss.mapping import MapRequest, make_map
from geocomiss.maps import read_categories


def test_a_legend_changes_names_and_colours_everywhere(
    gappy_stack: Path, model: Path, tmp_path: Path
) -> None:
    legend = tmp_path / "legend.csv"
    legend.write_text('class,name,color\nwheat,"Blé, d\'hiver",#123456\n', encoding="utf-8")
    out = tmp_path / "map"
    make_map(MapRequest(str(gappy_stack), out, model=str(model), legend=str(legend)))
    shown = {each.value: (each.name, each.color) for each in read_categories(out / "crop_type.tif")}
    assert shown[2] == ("Blé, d'hiver", "#123456") and shown[1][0] == "maize"
    assert json.loads((out / "run.json").read_text("utf-8"))["classes"][1]["name"] == "Blé, d'hiver"
    assert "#123456" in (out / "crop_type.qml").read_text("utf-8")
    with (out / "legend.csv").open(newline="", encoding="utf-8") as file:
        row = list(csv.DictReader(file))[1]
    assert row == {"value": "2", "class": "wheat", "name": "Blé, d'hiver", "color": "#123456"}
    # what was written can be given back
    make_map(MapRequest(str(gappy_stack), tmp_path / "b", model=str(model), legend=str(out / "legend.csv")))
    assert (tmp_path / "b" / "crop_type.tif").read_bytes() == (out / "crop_type.tif").read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("a,b\n1,2\n", "has the columns a, b"),
        ("class,name\nbarley,x\n", "which is no class of the map"),
        ("value,color\n1,red\n", "has the colour 'red'"),
        ("value,name\n1,x\n1,y\n", "two rows for 'maize'"),
        ("value,name\n1,wheat\n", "calls two classes 'wheat'"),
    ],
)
def test_a_legend_that_does_not_fit_is_said(
    gappy_stack: Path, model: Path, tmp_path: Path, content: str | None, said: str
) -> None:
    legend = tmp_path / "legend.csv"
    if content is not None:
        legend.write_text(content)
    with pytest.raises(MapError, match=said):
        make_map(MapRequest(str(gappy_stack), tmp_path / "map", model=str(model), legend=str(legend)))
    assert not (tmp_path / "map").exists()
