"""Links of the repository's Markdown files, as they must be in the site."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

# Pages of the site that stand at the top of the repository.
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
# Where in the site a file outside docs/ is copied to.
_COPIES = "repository"
_FENCE = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`]*`")
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#|<)([^)\s#]+)(#[^)\s]*)?(?=[)\s])")


def github_slug(text: str, separator: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", separator)


class Relinker:
    """Knows for every page in which folder of the repository it was written.

    Args:
        root: The repository.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sources = {uri: source for source, uri in PAGES.items()}

    def copied_files(self) -> dict[str, Path]:
        """Files outside docs/ to which a page links, by their place in the site."""
        sources = [*PAGES, *(str(path.relative_to(self._root)) for path in self._root.glob("docs/**/*.md"))]
        found: dict[str, Path] = {}
        for source in sources:
            for link in _LINK.finditer(_without_code((self._root / source).read_text())):
                place = self._place(source, link[1])
                path = self._root / place
                if not place.startswith("docs/") and place not in PAGES and path.is_file():
                    found[f"{_COPIES}/{place}"] = path
        return found

    def relinked(self, markdown: str, *, uri: str) -> str:
        """Return a page with its links as they must be in the site; `uri` is the page's place there."""
        source = self._source(uri)
        if source is None:
            return markdown
        code = [match.span() for match in _FENCE.finditer(markdown)]

        def changed(link: re.Match[str]) -> str:
            if any(start <= link.start() < end for start, end in code):
                return link[0]
            to = self._uri(self._place(source, link[1]))
            return os.path.relpath(to, PurePosixPath(uri).parent) + (link[2] or "")

        return _LINK.sub(changed, markdown)

    def _source(self, uri: str) -> str | None:
        """The file of the repository that became a page; None for a page that was made."""
        source = self._sources.get(uri)
        if source is None:
            source = uri.removeprefix(f"{_COPIES}/") if uri.startswith(_COPIES) else f"docs/{uri}"
        return source if (self._root / source).exists() else None

    def _place(self, source: str, link: str) -> str:
        """Where in the repository a link of a file leads."""
        return os.path.normpath(PurePosixPath(source).parent / link)

    def _uri(self, place: str) -> str:
        """Where in the site that is."""
        if place in PAGES:
            return PAGES[place]
        return place.removeprefix("docs/") if place.startswith("docs/") else f"{_COPIES}/{place}"


def _without_code(text: str) -> str:
    return _CODE.sub("", _FENCE.sub("", text))
