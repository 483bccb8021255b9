"""The guide's table of samples is read as it says, and names every band and the keys that date steps."""

import re
from pathlib import Path

import pytest

from geocomiss.modalities import MODALITIES
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, read_samples

GUIDE = Path(__file__).resolve().parents[2] / "examples" / "guide" / "models.md"


@pytest.fixture
def section() -> str:
    """What the guide says of a table of one's own."""
    return GUIDE.read_text(encoding="utf-8").split("## A table of one's own\n")[1].split("\n## ")[0]


def test_the_example_makes_a_table_that_is_read(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(GUIDE), "exec"), {})
    samples = read_samples(SampleRequest("samples.npz", "label", None, RECIPES["monthly-l2a"]))
    assert len(samples) == 120 and set(samples.labels.tolist()) == {"maize", "wheat"}
    assert samples.bands == {
        "optical": ("B4", "B8"),
        "radar": ("VV", "VH"),
        "topography": ("elevation", "slope"),
    }
    assert str(samples.cycle) == "12 steps of a month, January to December" and samples.years == (2021,)
    assert not samples.notes


def test_it_names_every_band_and_every_key(section: str) -> None:
    words = set(re.findall(r"\w+", section))
    bands = {band for modality in MODALITIES.values() for band in modality.band_names}
    assert bands | {"times", "start_date", "month", "precipitation_unit", "valid", "lat", "lon"} <= words
