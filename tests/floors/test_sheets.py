"""CSV files as spreadsheets of any country write them are read alike, or refused in words."""

from pathlib import Path

import pytest

from geocomiss.calibration.priors import read_priors
from geocomiss.errors import SampleError
from geocomiss.maps.layers import Category
from geocomiss.maps.legend import read_map_legend
from geocomiss.samples.legend import read_legend
from geocomiss.sheets import read_sheet

LINES = ("class{0} name", "blé{0}froment", '"a{0} b"{0}')


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_and_line_ends_make_no_difference(
    tmp_path: Path, separator: str, encoding: str, end: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(end.join(LINES).format(separator).encode(encoding))
    columns, rows = read_sheet(path)
    assert columns == ("class", "name")
    assert rows == [{"class": "blé", "name": "froment"}, {"class": f"a{separator} b", "name": ""}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("label,class\nblé,cereal\n".encode("latin-1"), "not in UTF-8: save it again as 'CSV UTF-8'"),
        (b"label,class\nleeks, others,vegetables\n", "the row of 'leeks' has more cells than columns"),
    ],
)
def test_what_would_be_misread_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(SampleError, match=said):
        read_legend(path)


def test_all_readers_take_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("class;share\na;0,25\nb;0,75\n")
    assert read_priors(path, ("a", "b")) == (0.25, 0.75)
    path.write_text("class;name;color\na;blé;#010203\n")
    assert read_map_legend(path, (Category(1, "a", "#000000"),)) == {1: Category(1, "blé", "#010203")}
    path.write_text("label;class\nma\u00efs;corn\n")
    assert read_legend(path).classes == {"ma\u00efs": "corn"}
