"""Labels as people write them."""

import pytest

from geocomiss.accuracy.labels import NO_LABEL, match_labels, plain
from geocomiss.errors import SampleError

CLASSES = {1: "maize", 2: "winter_wheat", 3: "non_crop"}


def test_case_spaces_and_dashes_do_not_matter() -> None:
    found = match_labels(["Maize", "maize ", "Winter wheat", "winter-wheat", "NON_CROP", ""], CLASSES)
    assert found.codes == (1, 1, 2, 2, 3, NO_LABEL)
    assert found.merged == {"maize": ("Maize", "maize "), "winter_wheat": ("Winter wheat", "winter-wheat")}
    assert plain("  Non  Crop ") == "non crop"


def test_an_unknown_label_is_named_with_what_was_perhaps_meant() -> None:
    with pytest.raises(SampleError, match=r"'maise' \(2 points, perhaps 'maize'\), 'zebra' \(1 point\)"):
        match_labels(["maise", "Maise", "zebra", "maize"], CLASSES)


def test_unknown_labels_can_be_classes_that_the_map_lacks() -> None:
    found = match_labels(["Hops", "hops ", "maize"], CLASSES, count_unknown=True)
    assert found.codes == (4, 4, 1)
    assert found.unknown == {4: "hops"}


def test_a_legend_merges_and_leaves_out() -> None:
    legend = {"Silage maize": "maize", "grain maize": "maize", "spelt": "Winter wheat"}
    found = match_labels(["silage MAIZE", "Grain-maize", "spelt", "hops", ""], CLASSES, legend)
    assert found.codes == (1, 1, 2, NO_LABEL, NO_LABEL)


def test_a_legend_of_another_map_is_refused() -> None:
    with pytest.raises(SampleError, match="the legend's classes that the map does not have: 'rice'"):
        match_labels(["paddy"], CLASSES, {"paddy": "rice"})
