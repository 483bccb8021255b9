"""Byte ranges of files over HTTP: connections are kept, what passes is tried again, requests are counted."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3.exceptions import ReadTimeoutError

CONNECTIONS: Final = 32
"""Kept open for each server: as many as blocks in work read images side by side."""
TIMEOUT: Final = (20.0, 30.0)
"""Seconds to connect, and without a byte, after which a server counts as gone."""
RETRIES: Final = Retry(
    total=5,
    connect=2,
    read=2,
    backoff_factor=0.5,
    status_forcelist=(408, 429, 500, 502, 503, 504),
    respect_retry_after_header=True,
    raise_on_status=False,
)
"""After 0.5, 1, 2, 4, 8 s, or what the server asks for; less often where nothing answers at all."""
BROKEN: Final = 3
"""How often a range is asked for whose answer breaks off."""
PIECE: Final = 65_536
"""Bytes taken from the network at a time."""


RANGE: Final = re.compile(r"bytes (?P<first>\d+)-\d+/(?P<size>\d+|\*)")
"""Which bytes an answer holds, and of how many."""


class Unreadable(Exception):
    """A file that cannot be read. `args[0]`: why, in words."""


class Unranged(Exception):
    """A server that does not send the part of a file that is asked for."""


@dataclass(frozen=True)
class Answer:
    """A range of a file."""

    content: bytes
    """The bytes; fewer than asked for where the file ends."""
    size: int
    """Bytes of the whole file; 0 where the server does not tell."""


class Web:
    """Reads ranges; safe for threads.

    Args:
        count: Told (bytes, requests), as they come.
    """

    def __init__(self, count: Callable[[int, int], None]) -> None:
        self._lock, self._count = threading.Lock(), count
        self._session: requests.Session | None = None

    def get(self, address: str, first: int, number: int) -> Answer:
        """`number` bytes of a file from `first` on.

        Raises:
            Unreadable: There is no such file, or the server fails again and again.
            Unranged: The server does not send parts of files.
        """
        for attempt in range(1, BROKEN + 1):
            try:
                return self._get(address, first, number)
            except requests.exceptions.ChunkedEncodingError as error:
                if attempt == BROKEN:
                    raise Unreadable("the answer breaks off") from error
            except requests.exceptions.ConnectionError as error:
                if attempt == BROKEN or not _stalled(error):
                    raise Unreadable(_words(error)) from error
            except requests.RequestException as error:
                raise Unreadable(_words(error)) from error
        raise Unreadable("the answer breaks off")

    def _get(self, address: str, first: int, number: int) -> Answer:
        wanted = {"Range": f"bytes={first}-{first + number - 1}", "Accept-Encoding": "identity"}
        self._count(0, 1)  # also where no answer comes
        with self._opened().get(address, headers=wanted, timeout=TIMEOUT, stream=True) as answer:
            hops = (*answer.history, answer)
            tried = sum(len(getattr(hop.raw.retries, "history", ())) for hop in hops)
            self._count(0, tried + len(answer.history))
            if answer.status_code == 200:
                raise Unranged
            if answer.status_code == 416:
                raise Unreadable("the file ends too early")
            if answer.status_code != 206:
                signed = answer.status_code in (401, 403) and "?" in address
                over = ": signed addresses hold for a time only" if signed else ""
                raise Unreadable(f"HTTP {answer.status_code}{over}")
            told = RANGE.match(answer.headers.get("Content-Range", ""))
            if told is None or int(told["first"]) != first:
                raise Unranged  # several parts, or other bytes than were asked for
            return Answer(self._content(answer, number), int(told["size"]) if told["size"] != "*" else 0)

    def _content(self, answer: requests.Response, number: int) -> bytes:
        """What comes, counted as it comes; not more than was asked for, whatever a server sends."""
        content = bytearray()
        for piece in answer.iter_content(PIECE):
            self._count(len(piece), 0)
            content += piece
            if len(content) > number:
                raise Unranged
        return bytes(content)

    def _opened(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                self._session = requests.Session()
                for scheme in ("https://", "http://"):
                    adapter = HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=RETRIES)
                    self._session.mount(scheme, adapter)
            return self._session


def _stalled(error: requests.ConnectionError) -> bool:
    """Whether an answer had begun, and nothing more of it came in time."""
    return bool(error.args) and isinstance(error.args[0], ReadTimeoutError)


def _words(error: requests.RequestException) -> str:
    """What went wrong, without the address, which may hold a token."""
    if isinstance(error, requests.Timeout) or (
        isinstance(error, requests.ConnectionError) and _stalled(error)
    ):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__
