"""Getting public data sets: files that resume, archives that are unpacked whole or not at all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from geocomiss.downloading.archives import unpack
from geocomiss.downloading.checksums import ZENODO, published_md5
from geocomiss.downloading.transfer import Progress, Remote, download
from geocomiss.errors import SourceError

CROPHARVEST: Final = "https://zenodo.org/record/10251170/files"
"""Where CropHarvest's authors publish it."""
FILES: Final = ("labels.geojson", "features.tar.gz", "test_features.tar.gz")
ARCHIVE: Final = ".tar.gz"
"""An archive NAME.tar.gz becomes the folder NAME."""


@dataclass(frozen=True)
class Fetched:
    """What became of one file."""

    name: str
    """Name at its publisher."""
    path: Path
    """The file, or the folder that an archive was unpacked to."""
    bytes: int
    """Bytes that travelled now; 0 where it was there already."""
    checked: bool
    """Whether a published MD5 was compared."""


def download_cropharvest(
    root: Path, base: str = CROPHARVEST, progress: Progress | None = None
) -> tuple[Fetched, ...]:
    """Download CropHarvest, or what is missing of it.

    What is there under its final name is whole and left alone; a download that was interrupted goes on.

    Args:
        root: Folder for the data set.
        base: URL of the folder of its files; a mirror may publish their MD5 as `md5sums.txt` there.
        progress: Told (file, bytes done, bytes in all or None).

    Raises:
        SourceError: Something cannot be had, is not what was published, or cannot be written.
    """
    _check_url(base)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(
            f"{root} cannot be made ({error.strerror})",
            expected="a folder to write to",
            todo="correct --root",
        ) from error
    targets = {name: root / name.removesuffix(ARCHIVE) for name in FILES}
    known = published_md5(base) if not all(path.exists() for path in targets.values()) else {}
    return tuple(_fetch(name, path, base, known.get(name), progress) for name, path in targets.items())


def _fetch(name: str, path: Path, base: str, md5: str | None, progress: Progress | None) -> Fetched:
    """One file; an archive becomes a folder and is removed."""
    if path.exists():
        return Fetched(name, path, 0, checked=False)
    url = f"{base.rstrip('/')}/{name}" + ("?download=1" if ZENODO.match(base) else "")
    file = path.with_name(name)
    travelled = download(Remote(url, name, md5), file, progress)
    if name.endswith(ARCHIVE):
        unpack(file, path)
    return Fetched(name, path, travelled, checked=md5 is not None)


def _check_url(base: str) -> None:
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SourceError(
            f"the address {base!r}",
            expected="a URL that begins with http:// or https://",
            todo="correct --url",
        )
