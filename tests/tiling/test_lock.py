"""One process at a time is in a folder, and what came to nothing leaves nothing."""

from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from geocomiss.errors import GO_ON, MapError, MapStopped
from geocomiss.tiling import lock as locks
from geocomiss.tiling.lock import alone, is_held

TAKEN = MapError("another process is in", expected="one at a time", todo="wait")


@pytest.mark.parametrize("inner", [".", "work"])
@pytest.mark.parametrize("worth", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_only_what_was_made_and_is_worth_nothing_goes(
    inner: str, worth: bool, there: bool, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    if there:
        out.mkdir()
    lock = out / inner / "lock"
    with alone(lock, out, TAKEN, lambda: worth):
        assert is_held(lock)
    assert not is_held(lock)
    assert out.exists() == (there or worth)
    assert lock.exists() == worth
    if inner != ".":
        assert lock.parent.exists() == worth


def test_what_others_left_in_the_folder_stays(tmp_path: Path) -> None:
    with alone(tmp_path / "out" / "lock", tmp_path / "out", TAKEN, lambda: False):
        (tmp_path / "out" / "notes.txt").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_whoever_is_kept_out_is_told_why_and_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    lock = tmp_path / "out" / "lock"
    lock.parent.mkdir()
    with FileLock(lock):
        with pytest.raises(MapError, match="another process is in"), alone(lock, lock.parent, TAKEN, bool):
            pass
        assert is_held(lock)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    out = tmp_path / "out"
    with (
        pytest.raises(MapStopped, match=r"out cannot be written") as told,
        alone(out / "lock", out, TAKEN, bool),
    ):
        pass
    assert told.value.todo == GO_ON


def test_a_folder_that_goes_while_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "out" / "tiles" / "lock"
    leaving = iter([True, False])

    class Late(FileLock):  # type: ignore[misc]
        def acquire(self, *args: Any, **options: Any) -> Any:
            if next(leaving):
                lock.parent.rmdir()
                raise FileNotFoundError(lock)
            return super().acquire(*args, **options)

    monkeypatch.setattr(locks, "FileLock", Late)
    with alone(lock, lock.parents[1], TAKEN, lambda: True):
        assert lock.exists()


def test_an_error_lets_go_of_the_lock_also_where_tidying_up_fails(tmp_path: Path) -> None:
    def worth() -> bool:
        raise OSError("a disk that is gone")

    with pytest.raises(OSError, match="is gone"), alone(tmp_path / "lock", tmp_path, TAKEN, worth):
        raise MapError("stopped", expected="", todo="")
    assert not is_held(tmp_path / "lock")


def test_whoever_comes_in_next_keeps_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lock"
    following = FileLock(lock)

    class Followed(FileLock):  # type: ignore[misc]
        def release(self, force: bool = False) -> None:
            super().release(force)
            following.acquire(timeout=0)

    with monkeypatch.context() as patch:
        patch.setattr(locks, "FileLock", Followed)
        with alone(lock, tmp_path, TAKEN, lambda: False):
            pass
    assert is_held(lock), "nobody else can come in beside it"
    following.release()
