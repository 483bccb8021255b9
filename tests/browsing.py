"""A real browser that visits our pages: what it asked for, and what it complained about."""

import shutil
import time
from collections.abc import Callable
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZES = {"desk": (1280, 800), "phone": (390, 844)}


class Visit:
    """A page and what it did."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}") or dialog.dismiss()
        )

    @property
    def outside(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:null/"))]


def eventually(told: Callable[[], Any], wanted: Any, seconds: float = 20) -> None:
    """Ask again and again: a busy machine draws late."""
    end = time.monotonic() + seconds
    while (found := told()) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    assert found == wanted


def show(page: Any, layer: str) -> None:
    page.check(f"input[name=layer][value={layer}]")
    page.wait_for_selector(f"body[data-layer={layer}]")
