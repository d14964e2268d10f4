"""Follow every link of a built site, and find what a browser would load from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Of these elements a browser loads the address by itself; an `a` it follows when asked.
_LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
# `link` names addresses, too, that nothing is loaded from.
_NAMED_ONLY = frozenset({"canonical", "next", "prev", "alternate", "edit", "license"})


def dead_links(site: Path) -> list[str]:
    """Return a sentence for each dead link, and for each address outside that a page loads."""
    pages = {path: _parsed(path) for path in sorted(site.rglob("*.html"))}
    return [
        f"{path.relative_to(site)}: {what}"
        for path, page in pages.items()
        for what in _faults(site, path, page, pages)
    ]


@dataclass(slots=True)
class _Links(HTMLParser):
    """Anchors of a page, what it links to, and what it loads."""

    anchors: set[str] = field(default_factory=set)
    followed: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.update(given[name] for name in ("id", "name") if given.get(name))
        if tag == "a" and given.get("href"):
            self.followed.append(given["href"])
        elif given.get(_LOADED.get(tag, "")) and not _NAMED_ONLY & set(given.get("rel", "").split()):
            self.loaded.append(given[_LOADED[tag]])


def _parsed(path: Path) -> _Links:
    page = _Links()
    page.feed(path.read_text())
    return page


def _faults(site: Path, path: Path, page: _Links, pages: dict[Path, _Links]) -> Iterator[str]:
    for address in page.loaded:
        if urlsplit(address).netloc:
            yield f"loads {address}"
    for address in dict.fromkeys([*page.followed, *page.loaded]):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        to = _target(site, path, unquote(parts.path))
        if to is None:
            yield f"dead link {address}"
        elif parts.fragment and to in pages and unquote(parts.fragment) not in pages[to].anchors:
            yield f"dead link {address}: the page has no such anchor"


def _target(site: Path, path: Path, address: str) -> Path | None:
    """The file of the site that an address of a page leads to; None where there is none."""
    if not address:
        return path
    to = site / address.lstrip("/") if address.startswith("/") else path.parent / address
    to = to.resolve()
    if to.is_dir():
        to = to / "index.html"
    return to if to.is_file() else None
