"""The one place that talks to Earth Engine: every call is sent again, refused, or explained here.

The client library keeps its state in a module global, so that there is one Earth Engine a process; its own
retries are switched off, because it sends again what can never succeed and gives up on what would.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import ee
import numpy as np
from google.auth.exceptions import GoogleAuthError, TransportError
from googleapiclient.errors import Error as ApiError
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.errors import SourceError
from geocomiss.grid import crs_of
from geocomiss.sources.base import EarthEngine
from geocomiss.sources.ee.credentials import Identity, identity
from geocomiss.sources.ee.failures import Kind, TooMuch, explained, kind_of, status_of
from geocomiss.sources.ee.npy import parsed_npy
from geocomiss.sources.ee.transport import Transport

LONGEST_PAUSE: Final = 60.0
"""Seconds."""
HANGS: Final = 2
"""Deadlines missed by a request of pixels after which less is asked at a time."""
TAG: Final = "geocomiss"
"""Workload tag on every call: the costs of geocomiss can be told apart in the account's reports."""

Answer = TypeVar("Answer")


@dataclass
class Tally:
    """What was asked up to now."""

    pixels: int = 0
    """Requests of pixels, those sent again included."""
    repeated: int = 0
    """Requests that were sent again."""
    split: int = 0
    """Requests that asked for too much and were divided."""


class Client:
    """A connection to Earth Engine, for any number of threads.

    Args:
        options: How it is reached.

    Raises:
        SourceError: No project, no credentials, no answer.
    """

    def __init__(self, options: EarthEngine) -> None:
        self.identity: Identity = identity(options)
        self.transport = Transport(options.parallel, options.deadline)
        self.tally = Tally()
        self._options, self._lock = options, threading.Lock()
        self._again(self._connect, splits=False)

    def value(self, expression: ee.ComputedObject) -> Any:
        """The value of an expression.

        Raises:
            SourceError: It is refused, or does not come.
        """
        return self._again(lambda: ee.data.computeValue(expression), splits=False)

    def call(self, ask: Callable[[], Answer]) -> Answer:
        """What a call of the library answers, sent again as long as that can help.

        Raises:
            SourceError: It is refused, or does not come.
        """
        return self._again(ask, splits=False)

    def pixels(self, image: ee.Image, bands: tuple[str, ...], grid: GeoBox) -> NDArray[Any]:
        """The pixels of an image on exactly this grid: (bands, H, W).

        Raises:
            TooMuch: The request asks too much at a time.
            SourceError: It is refused, or does not come.
        """
        asked = {
            "expression": image,
            "fileFormat": "NPY",
            "bandIds": list(bands),
            "grid": grid_of_request(grid),
        }

        def ask() -> NDArray[Any]:
            self._spend()
            return _parsed(ee.data.computePixels(asked), bands, grid)

        return self._again(ask, splits=True)

    def profiled(self, image: ee.Image, bands: tuple[str, ...], grid: GeoBox) -> tuple[NDArray[Any], str]:
        """Pixels as in `pixels`, and Earth Engine's profile of their computing."""
        ids: list[str] = []
        with ee.data.profiling(ids.append):
            values = self.pixels(image, bands, grid)
        table = ee.ApiFunction.lookup("Profile.getProfiles").call(ids=ids[-1:])
        return values, str(self.value(table))

    def _spend(self) -> None:
        """Count a request of pixels, unless that were one too many."""
        most = self._options.max_requests
        with self._lock:
            if most is not None and self.tally.pixels >= most:
                raise SourceError(
                    f"{most} requests of pixels have been sent to Earth Engine",
                    expected="at most --max-requests",
                    todo="raise it: what has been fetched is kept, and the same command goes on",
                )
            self.tally.pixels += 1

    def _connect(self) -> None:
        with _no_other_host():
            ee.Reset()
            ee.data.setMaxRetries(0)
            ee.Initialize(
                credentials=self.identity.credentials,
                url=self.identity.url,
                project=self.identity.project,
                http_transport=self.transport,
            )
        ee.data.setDefaultWorkloadTag(TAG)
        ee.data.resetWorkloadTag()

    def _again(self, call: Callable[[], Answer], *, splits: bool) -> Answer:
        """Call until it succeeds, as long as that can help."""
        hangs, status, text = 0, None, ""
        for attempt in range(self._options.attempts):
            if attempt:
                self._wait(attempt)
            try:
                return call()
            except (ee.EEException, ApiError) as error:
                status, text = status_of(error), str(error)
                kind = kind_of(status, text) if status else Kind.STOP  # without an answer: our own mistake
                if kind is Kind.SPLIT and splits:
                    raise TooMuch(text) from error
                if kind is not Kind.AGAIN:
                    raise explained(status, text, self.identity.project) from error
            except TransportError as error:
                status, text = None, f"no token: {type(error).__name__}"
            except GoogleAuthError as error:  # its words may quote what is secret
                raise explained(401, f"credentials: {type(error).__name__}", self.identity.project) from None
            except TimeoutError as error:
                hangs += 1
                if splits and hangs >= HANGS:
                    raise TooMuch("no answer within the deadline") from error
                status, text = None, str(error)
            except (ConnectionError, ValueError) as error:
                status, text = None, str(error)
        raise self._silent(status, text)

    def _wait(self, attempt: int) -> None:
        """Exponential pause with full jitter."""
        with self._lock:
            self.tally.repeated += 1
        longest = min(LONGEST_PAUSE, self._options.pause * 2 ** (attempt - 1))
        time.sleep(longest * random.random())

    def _silent(self, status: int | None, text: str) -> SourceError:
        words = f"{status}: {' '.join(text.split())[:160]}" if status else text
        return SourceError(
            f"Earth Engine at {self.identity.url or 'Google'} gave no answer to {self._options.attempts} "
            f"requests ({words})",
            expected="an answer",
            todo="try again later: what has been fetched is kept, and the same command goes on",
        )


def answers(client: Client) -> bool:
    """Whether what is at the other end computes.

    Raises:
        SourceError: It refuses, or does not answer.
    """
    return bool(client.value(ee.Dictionary({"answer": 42}).get("answer")) == 42)


def grid_of_request(grid: GeoBox) -> dict[str, Any]:
    """A grid as Earth Engine wants it, complete: nothing is left for it to choose."""
    affine, crs = grid.affine, crs_of(grid)
    code = {"crsCode": f"EPSG:{crs.epsg}"} if crs.epsg else {"crsWkt": crs.to_wkt()}
    return {
        "dimensions": {"width": grid.width, "height": grid.height},
        "affineTransform": {
            "scaleX": affine.a,
            "shearX": affine.b,
            "translateX": affine.c,
            "shearY": affine.d,
            "scaleY": affine.e,
            "translateY": affine.f,
        },
        **code,
    }


def _parsed(answer: bytes, bands: tuple[str, ...], grid: GeoBox) -> NDArray[Any]:
    """An NPY answer as (bands, H, W). Raises ValueError where it is cut short or of another shape."""
    table = parsed_npy(answer)
    if table.dtype.names != bands or table.shape != grid.shape:
        raise ValueError(f"an answer of {table.shape} pixels with bands {table.dtype.names}")
    return np.stack([table[band] for band in bands])


@contextmanager
def _no_other_host() -> Any:
    """Keep the library from fetching a list of deprecated assets from another host, without a deadline.

    Our identifiers stand in one table; behind a firewall the start would hang.
    """
    fetch = ee.deprecation._FetchDataCatalogStac
    ee.deprecation._FetchDataCatalogStac = dict
    try:
        yield
    finally:
        ee.deprecation._FetchDataCatalogStac = fetch
