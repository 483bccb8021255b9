"""A web server on loopback that knows ranges, and misbehaves when told to."""

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from geocomiss.downloading import transfer


@dataclass
class Site:
    """What the server holds and how it behaves."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off; one entry an answer."""
    ranges: bool = True
    etags: bool = True
    pause: float = 0.0
    """Seconds before each kilobyte."""
    busy: int = 0
    """Answers of 503 to come."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Paths and their Range."""
    sent: dict[str, int] = field(default_factory=dict)
    """Bytes sent of each file."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        site, name = self.server.site, self.path.partition("?")[0].removeprefix("/data/")
        wanted = self.headers.get("Range")
        site.asked.append((name, wanted))
        if site.busy:
            site.busy -= 1
            return self.send_error(503)
        if name not in site.files:
            return self.send_error(404)
        content = site.files[name]
        etag = f'"{hash(content)}"'
        fresh = self.headers.get("If-Range") in (None, etag)
        start = int(wanted[6:].split("-")[0]) if wanted and site.ranges and fresh else 0
        if start >= len(content) > 0:
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if site.etags:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self._send(site, name, content[start:])

    def _send(self, site, name, content):
        end = site.cut.pop(0) if site.cut else len(content)
        for at in range(0, min(end, len(content)), 1024):
            block = content[at : min(at + 1024, end)]
            time.sleep(site.pause)
            site.sent[name] = site.sent.get(name, 0) + len(block)
            try:
                self.wfile.write(block)
            except OSError:
                break
        if end < len(content):
            self.close_connection = True
            self.connection.close()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")  # whatever this machine uses, loopback is reached directly
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.site = Site(url=f"http://127.0.0.1:{server.server_port}/data")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(transfer, "PAUSES", [0.0, 0.0])
