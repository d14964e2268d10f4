"""A headless Chromium without network, and what tests ask of a page in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reports.dashboard.page import DASHBOARD_NAME

WIDTHS = (360, 768, 1280)
SCHEMES = ("light", "dark")
# Set by `make test-browser`: there a browser is what is asked for, elsewhere tests go without one.
REQUIRED = "EXHAUSTERS_CHROMIUM_REQUIRED"
_NAMED = "EXHAUSTERS_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PROBES = Path(__file__).with_name("page_probes.js").read_text(encoding="utf-8")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOW_TO_GET_IT = (
    "no Chromium found: install it (on Debian: apt-get install chromium), "
    f"or name one: {_NAMED}=/path/to/chromium"
)


@dataclass
class Opened:
    """A page in the browser, and everything that went wrong in it."""

    page: Any
    url: str
    problems: list[str] = field(default_factory=list)

    def go(self, address: str) -> None:
        self.page.goto(f"{self.url}{address}")
        self.page.wait_for_selector("html[data-ready]")


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    return os.environ.get(_NAMED) or next(filter(None, map(shutil.which, _NAMES)), None)


def is_left_out() -> bool:
    """Whether tests go without a browser: there is none, and none is required."""
    return find_chromium() is None and not os.environ.get(REQUIRED)


@contextmanager
def chromium() -> Iterator[Any]:
    """A started browser."""
    path = find_chromium()
    if path is None:
        pytest.fail(HOW_TO_GET_IT)
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=path, args=_FLAGS)) as started,
    ):
        yield started


@contextmanager
def opened_page(browser: Any, folder: Path, **options: Any) -> Iterator[Opened]:
    """A report's dashboard; at the end nothing may have been said in the console or loaded from anywhere."""
    with closing(browser.new_context(**options)) as context:
        page = context.new_page()
        opened = Opened(page, (folder / DASHBOARD_NAME).as_uri())
        page.on("pageerror", lambda error: opened.problems.append(str(error)))
        page.on(
            "console",
            lambda said: opened.problems.append(said.text) if said.type in ("error", "warning") else None,
        )
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith(("file:", "data:", "blob:"))
                else opened.problems.append(f"loads {asked.url}")
            ),
        )
        opened.go("")
        yield opened
        assert opened.problems == []


def addresses(opened: Opened) -> tuple[str, ...]:
    """One address of every kind of page."""
    cell = str(opened.page.locator("a.heat").first.get_attribute("href"))
    return ("#/", "#/metric/steps_to_drain", "#/cells", cell, "#/about")


def visit(opened: Opened, address: str, *, unfold: bool = False) -> Any:
    """Open an address, unfold what is folded if asked, put `page_probes.js` in; return the page."""
    opened.go(address)
    if unfold:
        opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    opened.page.wait_for_timeout(50)  # charts take the width of the page from an observer
    # Not by a script element: the page's policy allows none.
    opened.page.evaluate(_PROBES)
    assert opened.page.evaluate("probes.count()") > 20, f"{address} shows no text"
    return opened.page
