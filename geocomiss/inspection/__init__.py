"""What a file or folder is: the facts behind `geocomiss info`. Everything is recognised by looking."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

from geocomiss.errors import AreaError, SourceError
from geocomiss.inspection.facts import Facts
from geocomiss.inspection.learned import method_facts, model_facts, samples_facts
from geocomiss.inspection.mapped import layer_facts, map_facts
from geocomiss.inspection.places import area_facts, export_facts, stack_facts
from geocomiss.maps import SUMMARY
from geocomiss.tiling import zones_of_folder

KNOWN: Final = (
    "an area (vector file, W,S,E,N or WKT), a stack, a samples table, a model, a map "
    "(its folder or one of its GeoTIFFs), or the name of a method"
)
PARTS: Final = (SUMMARY, "card.json", "model.safetensors")
"""Files that speak for their folder."""
UNFINISHED: Final = "tiles"
"""Folder that a map has while it is being made."""


def inspect(text: str) -> Facts:
    """Say what something is.

    Args:
        text: A path, an area as `--aoi` takes it, or the name of a shipped model or of a method.

    Raises:
        GeocomissError: It does not exist, is damaged, or is nothing of ours.
    """
    path = Path(text)
    if _exists(path):
        return _folder(path) if path.is_dir() else _file(path)
    if text in _shipped():
        return model_facts(text)
    if text in _methods():
        return method_facts(text)
    try:
        return area_facts(text)
    except AreaError as error:
        if "does not exist" not in error.found:
            raise
        methods = f"{KNOWN}: {', '.join(_methods())}"
        raise SourceError(f"{text!r} does not exist", expected=methods, todo="check the path") from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # WKT makes no file name
        return False


def _shipped() -> tuple[str, ...]:
    from geocomiss.checkpoint import shipped_models

    return shipped_models()


def _methods() -> Collection[str]:
    from geocomiss.methods import METHODS

    return METHODS


def _folder(path: Path) -> Facts:
    from geocomiss.checkpoint import CARD  # inside: it imports torch, which most facts do without

    if (path / SUMMARY).is_file():
        return map_facts(path)
    if (path / CARD).is_file():
        return model_facts(str(path))
    if (path / UNFINISHED).is_dir() or zones_of_folder(path):
        return {
            "what": "an unfinished map",
            "how far it is": f"geocomiss status {path}",
            "to finish it": "run `geocomiss map` again with the same arguments",
        }
    return _recognised(path)


def _file(path: Path) -> Facts:
    if path.name in PARTS:
        return _folder(path.absolute().parent)
    if path.suffix.lower() in (".tif", ".tiff") and (layer := layer_facts(path)):
        return layer
    return _recognised(path)


def _recognised(path: Path) -> Facts:
    """A samples table, a stack or, where neither reader nor source knows it, an area."""
    from geocomiss.samples.readers import reader_of
    from geocomiss.sources import SOURCES, open_source
    from geocomiss.sources.zoned import stacks_in

    if stacks := stacks_in(path):
        return {
            "what": f"stacks of {len(stacks)} UTM zones, of which `geocomiss map --source` makes a map each",
            "stacks": [str(each) for each in stacks.values()],
        }
    if reader_of(path):
        return samples_facts(path)
    kinds = list(SOURCES.values())
    known = next((kind for kind in kinds if kind.recognise(path)), None)
    if known is SOURCES["export"]:
        return export_facts(path)
    if known:
        return stack_facts(open_source(str(path)), known.description)
    try:
        return area_facts(str(path))
    except AreaError as error:
        if "cannot be read" not in error.found:
            raise
        raise SourceError(
            f"{path.name!r} is nothing that is understood", expected=KNOWN, todo="check the path"
        ) from error
