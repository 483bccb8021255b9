"""Known class shares from a CSV file."""

import pytest

from geocomiss.calibration import read_priors
from geocomiss.errors import SampleError

CLASSES = ("grass", "maize", "wheat")


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "shares.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "class,share\nmaize,0.3\ngrass,0.5\nwheat,0.2\n",
        "class, share, source\n maize , 30, census\ngrass,50,\nwheat,20,\n",
        "\ufeffshare,class\r\n0.2995,maize\r\n0.4992,grass\r\n0.1997,wheat\r\n",
    ],
)
def test_shares_and_per_cent_in_any_order(tmp_path, text):
    shares = read_priors(written(tmp_path, text), CLASSES)
    assert shares == pytest.approx((0.5, 0.3, 0.2), abs=1e-3) and sum(shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class,share\nmaize,0.3\ngrass,0.7\n", "no share of wheat"),
        ("class,share\nmaize,0.3\ngrass,0.5\nwheat,0.1\nrye,0.1\n", "the class rye"),
        ("class,share\nmaize,0.3\ngrass,0.5\nwheat,0.4\n", "add up to 1.2"),
        ("class,share\nmaize,0.3\ngrass,0.5\nwheat,few\n", "the share 'few'"),
        ("class,share\nmaize,1.1\ngrass,-0.1\nwheat,0\n", "the share -0.1"),
        ("class,share\nmaize,nan\ngrass,0.1\nwheat,0\n", "the share nan"),
        ("class,share\nmaize\ngrass,0.5\nwheat,0.5\n", "the share ''"),
        ("class,share\nmaize,0.5\nmaize,0.4\ngrass,0.5\nwheat,0\n", "two shares"),
        ("label,share\nmaize,0.3\n", "the columns label, share"),
        ("", "the columns none"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(tmp_path, text, message):
    with pytest.raises(SampleError, match=message) as error:
        read_priors(written(tmp_path, text), CLASSES)
    assert "correct --priors" in str(error.value)


def test_a_file_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(SampleError, match="cannot be read"):
        read_priors(tmp_path / "none.csv", CLASSES)
    with pytest.raises(SampleError, match="cannot be read"):
        read_priors(written(tmp_path, "class,share\nmaïze,1\n", "latin-1"), CLASSES)
