"""Ask a STAC API what it has: page by page, again where it fails."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from pystac import Item
from pystac.errors import STACError, STACTypeError
from pystac_client import Client
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from urllib3 import Retry

from geocomiss.errors import SourceError
from geocomiss.sources.passes import Box
from geocomiss.sources.stac.catalogues import CATALOGUES, PRODUCTS, Catalogue
from geocomiss.wording import without_secrets

PAGE: Final = 100
"""Items asked for at once: pages of a few MB, which no API refuses."""
TIMEOUT: Final = 60.0
"""Seconds to wait for a page."""
RETRIES: Final = Retry(
    total=6,
    connect=2,  # an address without a server stays one
    backoff_factor=0.5,
    status_forcelist=(408, 429, 500, 502, 503, 504),
    allowed_methods=None,  # also POST: a search changes nothing
    respect_retry_after_header=True,
)
"""0.5, 1, 2, ... seconds, or what the server asks for."""
BROKEN: Final = 3
"""How often a page is asked for whose answer breaks off: `RETRIES` ends where an answer begins."""
PREFIX: Final = "stac+"
"""Before the address of any other catalogue."""

FAILURES: Final = (
    *(APIError, STACError, STACTypeError, ClientTypeError, requests.RequestException),
    *(AttributeError, KeyError, TypeError, ValueError),
)
"""What asking an address raises that is no STAC API, or answers with something else."""

Days = tuple[date | None, date | None]
"""First and last day; None is open."""


class _Pages(StacApiIO):
    """Asks again where an answer breaks off."""

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """The text of an answer (see `StacApiIO.request`)."""
        for _ in range(BROKEN - 1):
            try:
                return str(super().request(href, method, headers, parameters))
            except APIError as error:
                if not isinstance(error.__context__, requests.exceptions.ChunkedEncodingError):
                    raise
        return str(super().request(href, method, headers, parameters))


class Api:
    """A STAC API by its name or `stac+URL`.

    Raises:
        SourceError: It does not answer, or has no collection that can be read.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        known = CATALOGUES.get(text)
        url = known.url if known else _address(text)
        with _explained(url):
            self._client = Client.open(url, stac_io=_Pages(max_retries=RETRIES, timeout=TIMEOUT))
        self.catalogue = known or self._offered(url)

    def _offered(self, url: str) -> Catalogue:
        """What an API without a name of its own has of the products that can be read."""
        with _explained(url):
            there: set[str] = set()
            for collection in self._client.get_collections():
                if collection.id in there:
                    break  # pages that begin anew
                there.add(collection.id)
        found = tuple(key for key, product in PRODUCTS.items() if product.collection in there)
        if not found:
            wanted = sorted({product.collection for product in PRODUCTS.values()})
            raise SourceError(
                f"{without_secrets(url)} has none of the collections that can be read "
                f"(it has {len(there)} others)",
                expected=" or ".join(wanted),
                todo="give another catalogue",
            )
        return Catalogue(urlsplit(without_secrets(url)).netloc, url, found, {})

    def items(self, collections: Sequence[str], box: Box, days: Days, most: int | None = None) -> list[Item]:
        """Items of some collections that meet a box, each once, in the order of the answer.

        Args:
            collections: Identifiers.
            box: Longitudes and latitudes.
            days: First and last day, both included; (None, None) for what has no date.
            most: Where to stop.

        Raises:
            SourceError: The search fails, also after trying again.
        """
        with _explained(self.catalogue.url):
            search = self._client.search(
                collections=list(collections),
                bbox=box,
                datetime=_interval(days),
                limit=min(PAGE, most or PAGE),
                max_items=most,
            )
            found: dict[tuple[str | None, str], Item] = {}
            for page in search.pages_as_dicts():
                items = [Item.from_dict(each, root=self._client) for each in page["features"]]
                new = {(item.collection_id, item.id): item for item in items}
                if new.keys() <= found.keys():
                    raise ValueError("its pages repeat, without an end")
                found |= new
        return list(found.values())


def _address(text: str) -> str:
    """What stands behind 'stac+'."""
    url = text.removeprefix(PREFIX)
    if not re.match(r"https?://[^/]", url):
        raise SourceError(
            f"the catalogue {without_secrets(text)!r}",
            expected=f"{PREFIX} and the address of a STAC API, such as {PREFIX}https://example.org/stac",
            todo="correct --source",
        )
    return url


def _interval(days: Days) -> str | None:
    if days == (None, None):
        return None
    first, last = days
    return f"{f'{first}T00:00:00Z' if first else '..'}/{f'{last}T23:59:59.999Z' if last else '..'}"


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """What goes wrong on the way to a catalogue, in words."""
    try:
        yield
    except FAILURES as error:
        reason = without_secrets(" ".join(str(error).split()))[:160] or type(error).__name__
        raise SourceError(
            f"the catalogue {without_secrets(url)} does not answer a search ({reason})",
            expected="a STAC API with item search",
            todo="check the address and the network, or map a search saved with `geocomiss search`",
        ) from error
