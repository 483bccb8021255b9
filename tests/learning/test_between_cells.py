"""Weather between the centres of its cells: methods that add logits interpolate them, others do not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from geocomiss.batch import Around, batch_of_values
from geocomiss.methods import METHODS, new_method

ROWS = torch.tensor([[0, 1, 2, 3], [1, 0, 2, 2], [2, 2, 2, 2], [0, 1, 3, 3]])
"""Cells around four pixels, each pixel in the first; cell 3 lacks every step."""
WEIGHTS = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.5, 0.5, 0, 0], [0.25, 0, 0, 0], [0.3, 0.1, 0.3, 0.3]])
SHARES = torch.tensor([[4 / 9, 3 / 9, 2 / 9], [0.5, 0.5, 0], [0, 0, 1], [0.75, 0.25, 0]])
"""What the first three cells count for."""


@pytest.fixture(scope="module")
def pixels(spec):
    """Four pixels that have everything, weather on four cells."""
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=(4, *spec.shape(name))).astype("f4") for name in spec.modalities}
    values["weather"][3] = np.nan
    batch = batch_of_values(values, spec, {"weather": ROWS[:, 0].numpy()}, months=np.arange(1, 13))
    return replace(batch, around={"weather": Around(ROWS, WEIGHTS)})


@pytest.fixture(scope="module", params=sorted(METHODS))
def method(request, spec):
    torch.manual_seed(3)
    return new_method(request.param, spec, {"preset": "small"}).eval()


def test_logits_of_weather_are_a_mean_of_the_cells_around(method, pixels) -> None:
    alone = pixels.keep_only(("weather",))
    cells = replace(alone, index={"weather": torch.arange(4)}, around={})[:3]
    with torch.inference_mode():
        found, of_cells = (torch.log_softmax(method(each), 1) for each in (alone, cells))
    expected = torch.log_softmax(SHARES @ of_cells, 1) if method.additive else of_cells[ROWS[:, 0]]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_pixel_between_cells_has_the_same_bits_in_any_company(method, pixels) -> None:
    with torch.inference_mode():
        together = method(pixels)
        for rows in (torch.tensor([2]), torch.tensor([3, 0, 1])):
            assert torch.equal(method(pixels[rows]), together[rows])


def test_pixels_whose_steps_are_changed_one_by_one_have_rows_to_themselves(pixels) -> None:
    keep = torch.ones(4, 12, dtype=torch.bool)
    keep[0, 5] = False
    changed = pixels.keep_steps({"weather": keep})
    assert not changed.around and len(changed.x["weather"]) == 4
    assert torch.equal(changed.available, pixels.available)


def test_whether_a_pixel_has_weather_is_said_by_its_own_cell(pixels) -> None:
    missing = replace(pixels, index={"weather": torch.tensor([3, 0, 0, 3])})
    column = pixels.modalities.index("weather")
    assert missing.available[:, column].tolist() == [False, True, True, False]
