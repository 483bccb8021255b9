"""What goes wrong, said so that a person knows what to do.

The library raises these; only the command line turns them into one line and an exit code.
"""

from pathlib import Path
from typing import Final

GO_ON: Final = "free space or choose another --out; the same command then goes on where it stopped"
"""What to do about a disk on which a command that can be interrupted cannot write."""
AFRESH: Final = "free space or choose another --out, and give the command again"
"""What to do where nothing is kept of what was done."""


class GeocomissError(Exception):
    """An input that cannot be used, described in three parts.

    Args:
        found: What was found ("the AOI file 'field.shp' does not exist").
        expected: What was expected instead ("a vector file such as GeoJSON or GeoPackage").
        todo: What the user can do about it ("check the path").
    """

    def __init__(self, found: str, *, expected: str, todo: str) -> None:
        end = "" if todo.endswith("?") else "."
        super().__init__(f"{found}; expected {expected}; {todo}{end}")
        self.found = found
        self.expected = expected
        self.todo = todo

    def __reduce__(self) -> tuple[object, ...]:
        """Let the error travel between Dask workers (keyword-only arguments need help)."""
        return (_rebuild, (type(self), self.found, self.expected, self.todo))


def _rebuild(kind: type[GeocomissError], found: str, expected: str, todo: str) -> GeocomissError:
    return kind(found, expected=expected, todo=todo)


class AreaError(GeocomissError):
    """The area of interest or the pixel grid."""


class SeasonError(GeocomissError):
    """The season asked for, or the calendar of a stack or model."""


class RecipeError(GeocomissError):
    """A stack that was not made the way the model was trained on."""


class StackError(GeocomissError):
    """The content of a stack: bands, units, values."""


class SourceError(GeocomissError):
    """Where data come from: a path that is no known kind of stack, a damaged file."""


class SourceStopped(SourceError):
    """A source that will deliver nothing further in this run, whatever it is asked for."""


class SampleError(GeocomissError):
    """A table of labelled samples."""


class MethodError(GeocomissError):
    """The name of a method, or its options."""


class CheckpointError(GeocomissError):
    """A trained model on disk."""


class MapError(GeocomissError):
    """The output folder of a map or stack, and what is being written to it."""


class MapStopped(MapError):
    """Why nothing further can be computed or written, whatever the tile: a full disk, no scheduler."""


class NothingToMap(MapError):
    """An area, or what a mask leaves of it, in which no pixel has its centre."""


class NothingSeen(StackError):
    """A stack without a single valid value where a map is wanted."""


class TilesFailed(MapError):
    """Tiles of a map that failed again and again, while the others are done."""


def unwritable(folder: Path, error: OSError, todo: str = GO_ON) -> MapStopped:
    """What to say when a folder cannot be written, and what to do about it."""
    return MapStopped(
        f"{folder} cannot be written ({error.strerror or error})",
        expected="a writable folder with free space",
        todo=todo,
    )
