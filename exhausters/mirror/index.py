"""What is published, and when: the simple API of the package indexes that pip or uv is configured with.

Understands JSON (PEP 691, with `upload-time` of PEP 700), HTML (PEP 503), and folders of wheels
(`--find-links`), over https, http and file. No index is named here: without a configured one, pip is asked
for its default.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from exhausters.errors import MirrorError
from exhausters.mirror.transport import Transport, file_url
from exhausters.targets.installer import scrubbed
from exhausters.targets.pip_settings import pip_settings, uv_arguments, uv_environment

__all__ = ["PackageIndex", "PublishedWheel", "configured_index"]

PROJECT = "sglang"
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_DEFAULT_INDEX = re.compile(r"Package Index \(default (\S+)\)")


@dataclass(frozen=True, kw_only=True)
class PublishedWheel:
    """One wheel of one release, as an index lists it.

    Attributes:
        filename: such as "sglang-0.5.23-cp311-cp311-manylinux_2_34_x86_64.whl".
        version: parsed from it.
        url: where it can be fetched.
        sha256: in hexadecimal, or None if the index does not say.
        uploaded: when it was uploaded, or None if the index does not say.
        yanked: withdrawn by its publisher.
    """

    filename: str
    version: Version
    url: str
    sha256: str | None
    uploaded: datetime | None
    yanked: bool


class PackageIndex:
    """The configured indexes as one.

    Args:
        pages: URLs of the project's page in each index, strongest first.
        links: URLs of pages that link to wheels of any project.
        folders: folders of wheels.
        transport: how to fetch.
    """

    def __init__(
        self,
        *,
        pages: Sequence[str],
        links: Sequence[str] = (),
        folders: Sequence[str] = (),
        transport: Transport | None = None,
    ) -> None:
        self._pages = tuple(pages)
        self._links = tuple(links)
        self._folders = tuple(folders)
        self._transport = transport or Transport()

    @cached_property
    def wheels(self) -> tuple[PublishedWheel, ...]:
        """Every wheel of SGLang that any index lists, each once, oldest release first.

        Raises:
            MirrorError: no index lists SGLang, or one of them could not be asked.
        """
        found: dict[str, PublishedWheel] = {}
        for wheel in self._listed():
            known = found.get(wheel.filename)
            if known is None:
                found[wheel.filename] = wheel
            elif known.sha256 in (None, wheel.sha256):
                # A nearer copy of the same file often lacks what the public index knows about it.
                uploaded = known.uploaded or wheel.uploaded
                found[wheel.filename] = replace(known, sha256=wheel.sha256, uploaded=uploaded)
        if not found:
            asked = ", ".join((*self._pages, *self._links, *self._folders)) or "none is configured"
            raise MirrorError(
                f"no configured package index lists wheels of sglang (asked: {scrubbed(asked)}); expected "
                "one that does; check `pip config list`"
            )
        return tuple(sorted(found.values(), key=lambda wheel: (wheel.version, wheel.filename)))

    def download(self, wheel: PublishedWheel, destination: Path) -> str:
        """Fetch `wheel` to `destination` and return its SHA-256.

        Raises:
            MirrorError: it could not be fetched, or is not what the index says it is.
        """
        digest = hashlib.sha256()
        with destination.open("wb") as file:
            for block in self._transport.blocks(wheel.url):
                digest.update(block)
                file.write(block)
        if wheel.sha256 not in (None, digest.hexdigest()):
            raise MirrorError(
                f"{wheel.filename}: expected SHA-256 {wheel.sha256}, fetched {digest.hexdigest()}; "
                "run again, and if it stays so, ask who runs the index"
            )
        return digest.hexdigest()

    def _listed(self) -> Iterator[PublishedWheel]:
        # One that cannot be asked ends it, as it ends uv: what it alone publishes would be left out, and a
        # mirror, which grows at its end only, would never take it in.
        for page in self._pages:
            answer = self._transport.page(page, accept=_ACCEPT)
            if answer is not None:  # else this index does not know the project, as few do
                yield from _wheels_in(*answer, base=page)
        for link in self._links:
            answer = self._transport.page(link, accept=_ACCEPT)
            if answer is None:
                raise _no_such_links(link, "page")
            yield from _wheels_in(*answer, base=link)
        for folder in self._folders:
            yield from _wheels_in_folder(Path(folder))


def configured_index() -> PackageIndex:
    """Return the indexes that pip or uv is configured with on this machine."""
    settings = pip_settings()
    environment = uv_environment(settings, os.environ)
    no_index = bool(uv_arguments(settings, os.environ))
    urls: list[str] = []
    if not no_index:
        urls.append(
            environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL") or _default_index_of_pip()
        )
        for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL"):
            # uv allows a name before each: NAME=URL.
            urls += [re.sub(r"^[\w.-]+=", "", url) for url in environment.get(name, "").split()]
    links = [link for link in environment.get("UV_FIND_LINKS", "").split(",") if link]
    pages = [f"{url.rstrip('/')}/{PROJECT}/" for url in urls if url]
    remote = [link for link in links if "://" in link and not link.startswith("file:")]
    folders = [
        unquote(urlsplit(link).path) for link in links if "://" not in link or link.startswith("file:")
    ]
    return PackageIndex(pages=pages, links=remote, folders=folders, transport=Transport(environment))


def _default_index_of_pip() -> str:
    """The index that pip uses here, taken from its own help text; empty if there is no pip."""
    command = [sys.executable, "-m", "pip", "download", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    match = _DEFAULT_INDEX.search(" ".join(done.stdout.split()))
    return match[1] if match else ""


def _wheels_in(body: bytes, content_type: str, *, base: str) -> Iterator[PublishedWheel]:
    text = body.decode("utf-8", errors="replace")
    if "json" in content_type:
        try:
            entries = [_json_entry(entry) for entry in json.loads(text)["files"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MirrorError(
                f"{scrubbed(base)}: expected a project page of the simple API, got {error!r}; check the URL "
                "in the settings of pip or uv, or ask who runs the index"
            ) from error
    else:
        parser = _Anchors()
        parser.feed(text)
        entries = parser.entries
    for entry in entries:
        filename = entry["filename"] or unquote(urlsplit(entry["url"]).path).rpartition("/")[2]
        if (version := _version_of(filename)) is not None:
            yield PublishedWheel(
                filename=filename,
                version=version,
                url=urljoin(base, entry["url"]),
                sha256=entry["sha256"],
                uploaded=entry["uploaded"],
                yanked=entry["yanked"],
            )


def _json_entry(entry: dict[str, Any]) -> dict[str, Any]:
    moment = entry.get("upload-time")
    return {
        "filename": entry["filename"],
        "url": entry["url"],
        "sha256": entry.get("hashes", {}).get("sha256"),
        "uploaded": datetime.fromisoformat(moment).astimezone(UTC) if moment else None,
        "yanked": bool(entry.get("yanked")),
    }


class _Anchors(HTMLParser):
    """Collects the links of a PEP 503 page."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what an `<a>` says about a file."""
        attributes = dict(attrs)
        if tag != "a" or not attributes.get("href"):
            return
        url, fragment = urldefrag(attributes["href"] or "")
        digest = re.fullmatch(r"sha256=([0-9a-f]{64})", fragment)
        self.entries.append(
            {
                "filename": "",
                "url": url,
                "sha256": digest[1] if digest else None,
                "uploaded": None,
                "yanked": "data-yanked" in attributes,
            }
        )


def _wheels_in_folder(folder: Path) -> Iterator[PublishedWheel]:
    if not folder.is_dir():
        raise _no_such_links(str(folder), "folder")
    for path in sorted(folder.glob("*.whl")):
        if (version := _version_of(path.name)) is not None:
            yield PublishedWheel(
                filename=path.name,
                version=version,
                url=file_url(path),
                sha256=None,
                uploaded=None,
                yanked=False,
            )


def _no_such_links(place: str, kind: str) -> MirrorError:
    return MirrorError(
        f"find-links {scrubbed(place)}: no such {kind}; expected one with links to wheels, or wheels; make "
        "it reachable, or take it out of the settings of pip or uv"
    )


def _version_of(filename: str) -> Version | None:
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    return version if name == canonicalize_name(PROJECT) else None
