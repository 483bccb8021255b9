"""A small STAC API and file server on loopback: search with paging, ranges, tokens, and faults on demand.

It runs in a process of its own: GDAL may wait for an answer while it holds Python's lock.
"""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

FRESH = count()
CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/item-search",
]


class Service:
    """Serves a folder and the items in it; runs in the child process."""

    def __init__(self, folder: Path, page: int, signed: bool) -> None:
        self.folder, self.page, self.signed = folder, page, signed
        self.items: list[dict[str, Any]] = []
        self.faults: dict[str, Any] = {
            "gone": [],
            "once": {},
            "slow": 0.0,
            "broken": {},
            "whole": False,
            "more": 0,
            "off": 0,
            "repeats": False,
        }
        self.requests: list[tuple[str, str, int]] = []
        self.lock = threading.Lock()
        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"

    def control(self, asked: dict[str, Any]) -> Any:
        """What the test wants changed or told."""
        with self.lock:
            self.items.extend(asked.get("items", []))
            if "only" in asked:
                self.items = asked["only"]
            self.faults.update(asked.get("faults", {}))
            if asked.get("forget"):
                self.requests.clear()
            return self.items if asked.get("list") else self.requests

    @property
    def collections(self) -> list[str]:
        return sorted({item["collection"] for item in self.items})

    def search(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = [item for item in self.items if _fits(item, asked)]
        found.sort(key=lambda item: item["properties"]["datetime"], reverse=True)
        start = int(asked.get("token", 0))
        size = min(int(asked.get("limit", self.page)), self.page)
        more = {**asked, "token": str(start if self.faults["repeats"] else start + size)}
        links = (
            [{"rel": "next", "href": f"{self.url}/search", "method": "POST", "body": more, "merge": False}]
            if start + size < len(found)
            else []
        )
        return {"type": "FeatureCollection", "features": found[start : start + size], "links": links}

    def collection(self, name: str) -> dict[str, Any]:
        return {
            "type": "Collection",
            "id": name,
            "stac_version": "1.0.0",
            "description": name,
            "license": "MIT",
            "extent": {
                "spatial": {"bbox": [[-180, -90, 180, 90]]},
                "temporal": {"interval": [["2015-01-01T00:00:00Z", None]]},
            },
            "links": [],
        }

    def document(self, path: str) -> dict[str, Any] | None:
        if path in ("", "/"):
            links = [
                {"rel": "self", "href": self.url},
                {"rel": "root", "href": self.url},
                {"rel": "data", "href": f"{self.url}/collections"},
                *(
                    {
                        "rel": "search",
                        "href": f"{self.url}/search",
                        "type": "application/geo+json",
                        "method": method,
                    }
                    for method in ("GET", "POST")
                ),
            ]
            return {
                "type": "Catalog",
                "id": "local",
                "stac_version": "1.0.0",
                "description": "local",
                "conformsTo": CONFORMS,
                "links": links,
            }
        if path == "/conformance":
            return {"conformsTo": CONFORMS}
        if path == "/collections":
            return {"collections": [self.collection(name) for name in self.collections], "links": []}
        if path.startswith("/collections/"):
            return self.collection(path.rsplit("/", 1)[1])
        if path.startswith("/token/"):
            ends = datetime.now(UTC) + timedelta(hours=1)
            return {"token": "sig=secret", "msft:expiry": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/control":
                    answer = json.dumps(server.control(asked)).encode()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                elif not self._failed("/search"):
                    answer = json.dumps(server.search(asked)).encode()
                    self._send(answer, "application/geo+json", half=self._breaks_off())

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if self._failed(parts.path):
                    return
                if parts.path == "/search":
                    asked = {k: v[0] for k, v in parse_qs(parts.query).items()}
                    self._send(json.dumps(server.search(asked)).encode(), "application/geo+json")
                elif parts.path.startswith("/files/"):
                    self._file(parts.path, parts.query)
                else:
                    content = server.document(parts.path)
                    if content is None:
                        self._send(b"", "text/plain", 404)
                    else:
                        self._send(json.dumps(content).encode(), "application/json")

            def _failed(self, path: str) -> bool:
                """Whether this request is one of those that are to fail: path -> [status, how often]."""
                with server.lock:
                    status, times = server.faults["once"].get(path, (0, 0))
                    if times < 1:
                        return False
                    server.faults["once"][path] = (status, times - 1)
                self._send(b"{}", "application/json", status)
                return True

            def _file(self, path: str, query: str) -> None:
                file = server.folder / path.removeprefix("/files/")
                time.sleep(server.faults["slow"])
                if server.signed and "sig=secret" not in query:
                    self._send(b"", "text/plain", 403)
                elif path in server.faults["gone"] or not file.is_file():
                    self._send(b"", "text/plain", 404)
                else:
                    self._ranged(file)

            def _ranged(self, file: Path) -> None:
                size, asked = file.stat().st_size, self.headers.get("Range")
                if asked is None or server.faults["whole"]:
                    self._send(file.read_bytes(), "image/tiff")
                    return
                first, _, last = asked.removeprefix("bytes=").partition("-")
                start, end = int(first), min(int(last or size), size - 1)
                start += server.faults["off"]
                end = min(end + server.faults["more"] + server.faults["off"], size - 1)
                if start >= size:
                    self._send(b"", "image/tiff", 416)
                    return
                with file.open("rb") as content:
                    content.seek(start)
                    body = content.read(end - start + 1)
                more = {"Content-Range": f"bytes {start}-{end}/{size}"}
                self._send(body, "image/tiff", 206, more, self._breaks_off())

            def _breaks_off(self) -> bool:
                """Whether this answer is one of those that stop halfway: path -> how often."""
                path = urlsplit(self.path).path
                with server.lock:
                    times = server.faults["broken"].get(path, 0)
                    server.faults["broken"][path] = max(0, times - 1)
                return bool(times)

            def _send(
                self,
                body: bytes,
                kind: str,
                status: int = 200,
                more: dict[str, str] | None = None,
                half: bool = False,
            ) -> None:
                told = len(body)
                body = body[: told // 2] if half else body
                self.close_connection |= half
                with server.lock:
                    size = 0 if self.command == "HEAD" else len(body)
                    server.requests.append((self.command, urlsplit(self.path).path, size))
                self.send_response(status)
                headers = {"Content-Type": kind, "Content-Length": str(told), "Accept-Ranges": "bytes"}
                for name, value in (headers | (more or {})).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    try:
                        self.wfile.write(body)
                    except (BrokenPipeError, ConnectionResetError):
                        pass

        return Handler


class StacServer:
    """A service in a child process, as the tests see it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url

    def tell(self, **asked: Any) -> Any:
        body = json.dumps(asked, default=str).encode()
        with urlopen(Request(f"{self.url}/control", data=body, method="POST")) as answer:
            return json.loads(answer.read())

    def add(self, item: dict[str, Any]) -> None:
        self.tell(items=[item])

    def items(self) -> list[dict[str, Any]]:
        """All that is listed."""
        found: list[dict[str, Any]] = self.tell(list=True)
        return found

    def renew(self) -> None:
        """Give all images addresses that GDAL has not kept anything of."""
        items, number = self.items(), next(FRESH)
        for item in items:
            for asset in item["assets"].values():
                asset["href"] = f"{asset['href'].partition('?')[0]}?run={number}"
        self.tell(only=items)

    def fail(
        self,
        gone: Sequence[str] = (),
        once: Mapping[str, tuple[int, int]] | None = None,
        slow: float = 0.0,
        broken: Mapping[str, int] | None = None,
        whole: bool = False,
        more: int = 0,
        off: int = 0,
        repeats: bool = False,
    ) -> None:
        """Change what goes wrong.

        Args:
            gone: Files that are 404.
            once: Path -> (status, how often) of requests that fail.
            slow: Seconds before a file.
            broken: Path -> how often an answer stops halfway.
            whole: Whether files are only sent whole.
            more: Bytes that come beyond those asked for.
            off: Bytes by which answers begin later than asked for.
            repeats: Whether the next page of a search is the same again.
        """
        once, broken = dict(once or {}), dict(broken or {})
        faults = {"gone": list(gone), "once": once, "slow": slow, "broken": broken, "whole": whole}
        self.tell(faults=faults | {"more": more, "off": off, "repeats": repeats})

    def forget(self) -> None:
        """Count anew."""
        self.tell(forget=True)

    def sent(self, prefix: str = "/files/") -> int:
        """Bytes sent under a path."""
        return sum(size for _, path, size in self.tell() if path.startswith(prefix))

    def asked(self, prefix: str = "/files/") -> Counter[str]:
        """Requests per path."""
        return Counter(path for _, path, _ in self.tell() if path.startswith(prefix))


@contextmanager
def serving(folder: Path, page: int = 7, signed: bool = False) -> Iterator[StacServer]:
    """A running server of a folder."""
    command = [sys.executable, __file__, str(folder), str(page), str(int(signed))]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield StacServer(folder, child.stdout.readline().strip())
    finally:
        child.terminate()
        child.wait(timeout=10)
        child.stdout.close()


def _fits(item: dict[str, Any], asked: dict[str, Any]) -> bool:
    wanted = asked.get("collections")
    wanted = wanted.split(",") if isinstance(wanted, str) else wanted
    if wanted and item["collection"] not in wanted:
        return False
    box = asked.get("bbox")
    box = [float(v) for v in box.split(",")] if isinstance(box, str) else box
    if box:
        west, south, east, north = item["bbox"]
        if west > box[2] or east < box[0] or south > box[3] or north < box[1]:
            return False
    first, _, last = asked.get("datetime", "../..").partition("/")
    when = item["properties"]["datetime"]
    return (first in ("..", "") or first <= when) and (last in ("..", "") or when <= last)


if __name__ == "__main__":
    service = Service(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1")
    print(service.url, flush=True)
    service.httpd.serve_forever(0.05)
