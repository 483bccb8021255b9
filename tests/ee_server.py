"""A loopback Earth Engine: real HTTP for the real client, expressions evaluated, faults on demand.

The discovery document and the list of algorithms are those of the client's own wheel. It runs in a process of
its own, so that a client may be killed and started again.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import ee
import ee_best_pixel  # noqa: F401 - adds its algorithms
import numpy as np
from ee_evaluator import Evaluator, Image, Refused
from ee_exports import Exports, Unknown, grid_of
from ee_scenes import catalogue

WHEEL = Path(ee.__file__).parent / "tests"
LIMIT = 50_331_648
PIXELS, VALUE = "image:computePixels", "value:compute"
EXPORT = "image:export"
MEMORY = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""For glibc: give arrays back. A thread a connection leaves it with over 4 GB after all tests otherwise."""


class Service:
    """Answers for one catalogue; runs in the child process."""

    def __init__(self) -> None:
        self.catalogue = catalogue()
        self.documents = {
            "discovery": _discovery(),
            "algorithms": (WHEEL / "algorithms.json").read_bytes(),
        }
        self.lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.settings: dict[str, Any] = {}
        self.profiles: list[str] = []
        self.exports = Exports(self.catalogue)
        self.under_way = self.most = 0
        self.tokens = 0
        self.httpd = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"

    def control(self, asked: dict[str, Any]) -> Any:
        """What the test wants changed or told."""
        with self.lock:
            self.settings.update(asked.get("settings", {}))
            self.exports.settings = self.settings
            if asked.get("forget"):
                self.exports.forget()
                self.requests, self.most, self.settings = [], 0, asked.get("settings", {})
            self.exports.settings = self.settings
            told = {"requests": self.requests, "most": self.most, "tokens": self.tokens}
            told["tasks"] = [each.told() for each in self.exports.tasks]
            return told | {"under_way": self.under_way}

    def fault(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The fault that is due for a request: each has `path`, `after` requests, `times`."""
        with self.lock:
            for each in self.settings.get("faults", []):
                if each["path"] == path and each.get("times", 1) > 0:
                    if each.get("after", 0) > 0:
                        each["after"] -= 1
                        continue
                    each["times"] = each.get("times", 1) - 1
                    return dict(each)
        most = self.settings.get("memory_pixels")
        if path == PIXELS and most and _pixels(body) > most:
            return {"status": 400, "text": "User memory limit exceeded."}
        return None

    def profile(self, body: Mapping[str, Any]) -> str:
        """Profile the computing of a request: two microseconds a pixel, band and image. Its identifier."""
        images = json.dumps(body["expression"]).count('"Image.load"')
        seconds = 2e-6 * _pixels(body) * len(body["bandIds"]) * max(1, images)
        rows = [f"{seconds * share:9.6f}     59k     6  {what}" for share, what in ((0.75, "a"), (0.25, "b"))]
        with self.lock:
            self.profiles.append("\n".join([" EECU·s PeakMem Count  Description", *rows, ""]))
            return str(len(self.profiles) - 1)

    def value(self, body: Mapping[str, Any]) -> Any:
        return {"result": Evaluator(body["expression"], self.catalogue, self.profiles).result()}

    def pixels(self, body: Mapping[str, Any]) -> bytes:
        image = Evaluator(body["expression"], self.catalogue).result()
        if not isinstance(image, Image) or body["fileFormat"] != "NPY":
            raise Refused("An image as NPY is expected.")
        names = body.get("bandIds") or list(image.bands)
        kinds = [np.dtype(image.bands[name].dtype) for name in names]
        size, grid = body["grid"]["dimensions"], grid_of(body["grid"])
        total = size["width"] * size["height"] * sum(kind.itemsize + 1 for kind in kinds)
        if total > LIMIT:
            raise Refused(f"Total request size ({total} bytes) must be less than or equal to {LIMIT} bytes.")
        if max(size.values()) > 32_000 or len(names) > 1024:
            raise Refused(f"Pixel grid dimensions ({size}) or bands ({len(names)}) are too large.")
        table = np.zeros(grid.shape, dtype=list(zip(names, kinds, strict=True)))
        for name in names:
            values, valid = image.bands[name].on(grid)
            table[name] = np.where(valid, values, 0)  # NPY knows no mask
        answer = io.BytesIO()
        np.save(answer, table)
        return answer.getvalue()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _discovery() -> bytes:
    """The document of the wheel, which lacks a method that the reference has: projects.getConfig."""
    told = json.loads((WHEEL / "cloud_api_discovery_document.json").read_bytes())
    name = {"location": "path", "pattern": "^projects/[^/]+/config$", "required": True, "type": "string"}
    told["resources"]["projects"]["methods"]["getConfig"] = {
        "id": "earthengine.projects.getConfig",
        "httpMethod": "GET",
        "path": "v1alpha/{+name}",
        "flatPath": "v1alpha/projects/{projectsId}/config",
        "parameters": {"name": name},
        "parameterOrder": ["name"],
        "response": {"type": "any"},
    }
    return json.dumps(told).encode()


def _pixels(body: Mapping[str, Any]) -> int:
    size = body["grid"]["dimensions"]
    return int(size["width"]) * int(size["height"])


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        profile: str | None = None

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/$discovery/rest":
                self._send(service.documents["discovery"])
            elif path.endswith("/algorithms"):
                if self._allowed():
                    self._send(service.documents["algorithms"])
            elif path.endswith("/config"):
                self._config()
            elif "/operations" in path:
                self._computed(path, dict(parse_qs(urlsplit(self.path).query)))
            else:
                self._fail(404, f"{path} not found.")

        def do_POST(self) -> None:
            path = urlsplit(self.path).path
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if path == "/control":
                self._send(json.dumps(service.control(json.loads(body))).encode())
            elif path == "/token":
                self._token(parse_qs(body.decode()))
            elif self._allowed():
                self._computed(path, json.loads(body))

        def _computed(self, path: str, body: dict[str, Any]) -> None:
            name = path.rsplit("/", 1)[-1] if "/operations" not in path else "operations"
            with service.lock:
                service.under_way += 1
                service.most = max(service.most, service.under_way)
            told = {
                "name": name,
                "project": path.split("/projects/")[1].split("/")[0],
                "key": hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest(),
                "tag": body.get("workloadTag"),
                "bands": len(body.get("bandIds", [])),
                "pixels": _pixels(body) if name == PIXELS else 0,
            }
            slow = {PIXELS: "slow", EXPORT: "slow_export"}.get(name, "")
            time.sleep(service.settings.get(slow, 0.0))
            status, answer = self._answer(name, body, path)
            profiled = name == PIXELS and self.headers.get("X-Earth-Engine-Computation-Profiling") == "1"
            self.profile = service.profile(body) if profiled and status == 200 else None
            with service.lock:
                service.under_way -= 1
                service.requests.append(told | {"status": status})
            if status == 0:  # hangs: says nothing until the client has gone
                time.sleep(service.settings.get("hang", 3.0))
                self.close_connection = True
            elif status == 200:
                self._send(answer)
            elif status == -1:  # cut short
                self._send(answer, cut=len(answer) // 2)
            elif status == -2:  # damaged on the way
                self._send(answer, packed="gzip")
            else:
                self._fail(status, answer.decode())

        def _answer(self, name: str, body: dict[str, Any], path: str) -> tuple[int, bytes]:
            fault = service.fault(name, body)
            if fault and fault["status"] >= 0:
                return int(fault["status"]), str(fault.get("text", "A fault.")).encode()
            try:
                if name == PIXELS:
                    answer = service.pixels(body)
                elif name == VALUE:
                    answer = json.dumps(service.value(body)).encode()
                elif name in (EXPORT, "operations"):
                    answer = json.dumps(service.exports.answer(path, body)).encode()
                else:
                    return 404, f"{name} not found.".encode()
            except Refused as error:
                return 400, str(error).encode()
            except Unknown as error:
                return 404, str(error).encode()
            except Exception as error:  # a mistake of this server must not look like Earth Engine's
                return 400, f"TEST SERVER BROKE: {type(error).__name__}: {error}".encode()
            return (int(fault["status"]) if fault else 200), answer

        def _config(self) -> None:
            """projects.getConfig: what a project is registered for."""
            if told := service.settings.get("config"):
                self._send(json.dumps({"name": "projects/my-project/config"} | told).encode())
            else:
                self._fail(403, "Permission 'earthengine.config.get' denied.")

        def _token(self, asked: dict[str, list[str]]) -> None:
            """A service account's signed assertion for a token that soon expires."""
            if "assertion" not in asked:
                self._fail(400, "invalid_grant")
                return
            with service.lock:
                service.tokens += 1
                token = {
                    "access_token": f"secret-{service.tokens}",
                    "expires_in": 3600,
                    "token_type": "Bearer",
                }
            self._send(json.dumps(token).encode())

        def _allowed(self) -> bool:
            """With `auth`, the newest token only, and each for so many requests."""
            lasts = service.settings.get("auth")
            if not lasts:
                return True
            with service.lock:
                used = service.settings.setdefault("used", Counter())
                given = self.headers.get("Authorization", "").removeprefix("Bearer ")
                used[given] = used.get(given, 0) + 1
                good = given == f"secret-{service.tokens}" and used[given] <= lasts
            if not good:
                self._fail(401, "Request had invalid authentication credentials.")
            return good

        def _fail(self, status: int, text: str) -> None:
            error = {"error": {"code": status, "message": text, "status": "FAILED"}}
            self._send(json.dumps(error).encode(), status)

        def _send(
            self, body: bytes, status: int = 200, cut: int | None = None, packed: str | None = None
        ) -> None:
            self.send_response(status)
            if packed:
                self.send_header("Content-Encoding", packed)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if quota := service.settings.get("quota"):
                self.send_header("x-earth-engine-quota-status", quota)
            if self.profile is not None:
                self.send_header("x-earth-engine-computation-profile", self.profile)
                self.profile = None
            self.end_headers()
            try:
                self.wfile.write(body if cut is None else body[:cut])
            except (BrokenPipeError, ConnectionResetError):
                pass
            self.close_connection |= cut is not None

    return Handler


class EarthEngineServer:
    """A service in a child process, as the tests see it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def tell(self, **asked: Any) -> Any:
        body = json.dumps(asked).encode()
        with urlopen(Request(f"{self.url}/control", data=body, method="POST")) as answer:
            return json.loads(answer.read())

    def set(self, **settings: Any) -> None:
        """Forget what was, and behave like this from now on."""
        self.tell(forget=True, settings=settings)

    def asked(self, name: str = PIXELS) -> list[dict[str, Any]]:
        """Requests since the last `set`."""
        return [each for each in self.tell()["requests"] if each["name"] == name]

    def settle(self) -> None:
        """Wait until nothing is under way: a client that was killed leaves requests behind."""
        while self.tell()["under_way"]:
            time.sleep(0.05)

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """Export tasks since the last `set`, in the order in which they were started."""
        return list(self.tell()["tasks"])

    @property
    def most(self) -> int:
        """Most requests under way at a time."""
        return int(self.tell()["most"])


@contextmanager
def serving() -> Iterator[EarthEngineServer]:
    """A running server."""
    child = subprocess.Popen(
        [sys.executable, __file__], stdout=subprocess.PIPE, text=True, env=os.environ | MEMORY
    )
    try:
        assert child.stdout is not None
        yield EarthEngineServer(child.stdout.readline().strip())
    finally:
        child.terminate()
        child.wait(timeout=10)
        child.stdout.close()


if __name__ == "__main__":
    service = Service()
    print(service.url, flush=True)
    service.httpd.serve_forever(0.05)
