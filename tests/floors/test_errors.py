"""Errors say what was found, what was expected and what to do, and they travel."""

import pickle

import pytest

from geocomiss import errors
from geocomiss.errors import GeocomissError

KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GeocomissError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_says_three_things_and_survives_a_worker(kind: type[GeocomissError]) -> None:
    error = kind("a red fox", expected="a green frog", todo="paint it")
    assert str(error) == "a red fox; expected a green frog; paint it."
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (back.found, back.expected, back.todo, str(back)) == (
        error.found,
        error.expected,
        error.todo,
        str(error),
    )


def test_a_question_ends_with_its_own_mark() -> None:
    assert str(GeocomissError("x", expected="y", todo="did you mean z?")).endswith("z?")


def test_the_tree_has_one_root() -> None:
    assert {kind.__name__ for kind in KINDS} >= {
        "AreaError",
        "RecipeError",
        "StackError",
        "SourceError",
        "SampleError",
        "CheckpointError",
        "MapError",
        "SeasonError",
    }
