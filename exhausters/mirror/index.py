"""What is published, and when: the package indexes and folders of wheels that pip or uv is configured with.

`pypi_simple` reads the pages of the simple API, JSON and HTML, over https, http and file; only JSON gives
upload times. No index is named here: without a configured one, the library's default is asked.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version
from pypi_simple import (
    ACCEPT_ANY,
    PYPI_SIMPLE_ENDPOINT,
    DistributionPackage,
    ProjectPage,
    UnsupportedRepoVersionError,
)
from requests import Response, codes

from exhausters.errors import MirrorError
from exhausters.mirror.session import session_for, timeout_seconds
from exhausters.targets.installer import scrubbed
from exhausters.targets.pip_settings import pip_settings, uv_arguments, uv_environment

__all__ = ["PackageIndex", "PublishedWheel", "configured_index"]

PROJECT = "sglang"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class PublishedWheel:
    """One wheel of one release, as an index lists it.

    Attributes:
        filename: such as "sglang-0.5.23-cp311-cp311-manylinux_2_34_x86_64.whl".
        version: parsed from it.
        url: where it can be fetched.
        sha256: in hexadecimal, or None if the index does not state it.
        uploaded: when it was uploaded, or None if the index does not state it.
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
        indexes: base URLs of the simple API, in order of preference.
        links: URLs of pages that link to wheels of any project.
        folders: folders of wheels.
        environment: uv's variables for certificates, proxies and the time limit; None for this process's.
    """

    def __init__(
        self,
        *,
        indexes: Sequence[str] = (),
        links: Sequence[str] = (),
        folders: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        environment = os.environ if environment is None else environment
        self.indexes = tuple(indexes)
        self.links = tuple(links)
        self.folders = tuple(folders)
        self._session = session_for(environment)
        self._timeout_seconds = timeout_seconds(environment)

    @cached_property
    def wheels(self) -> tuple[PublishedWheel, ...]:
        """Every wheel of SGLang that any index lists, each once, oldest release first.

        Raises:
            MirrorError: no index lists SGLang, or one of them could not be read.
        """
        found: dict[str, PublishedWheel] = {}
        for wheel in self._listed():
            known = found.get(wheel.filename)
            if known is None:
                found[wheel.filename] = wheel
            elif known.sha256 in (None, wheel.sha256):
                # A copy in a nearer index often lacks the upload time that the public index states.
                uploaded = known.uploaded or wheel.uploaded
                found[wheel.filename] = replace(known, sha256=wheel.sha256, uploaded=uploaded)
        if not found:
            asked = ", ".join((*self.indexes, *self.links, *self.folders)) or "none is configured"
            raise MirrorError(
                f"no configured package index lists wheels of {PROJECT} (asked: {scrubbed(asked)}); expected "
                "one that does; check `pip config list`"
            )
        return tuple(sorted(found.values(), key=lambda wheel: (wheel.version, wheel.filename)))

    def download(self, wheel: PublishedWheel, destination: Path) -> str:
        """Fetch `wheel` to `destination` and return its SHA-256.

        Raises:
            MirrorError: it could not be fetched, or is not what the index says it is.
        """
        digest = hashlib.sha256()
        with (
            _errors_named(wheel.url, expected="the file that the index lists"),
            self._session.get(
                wheel.url,
                stream=True,
                timeout=self._timeout_seconds,
                headers={"Accept-Encoding": "identity"},
            ) as answer,
            destination.open("wb") as file,
        ):
            answer.raise_for_status()
            for block in answer.iter_content(_BLOCK_BYTES):
                digest.update(block)
                file.write(block)
        if wheel.sha256 not in (None, digest.hexdigest()):
            raise MirrorError(
                f"{wheel.filename}: expected SHA-256 {wheel.sha256}, fetched {digest.hexdigest()}; "
                "run again, and if it happens again, ask the operator of the index"
            )
        return digest.hexdigest()

    def _listed(self) -> Iterator[PublishedWheel]:
        # An index that cannot be read is an error, as in uv: releases that only it publishes would be
        # missing, and a mirror, which grows at its end only, could never add them.
        for index in self.indexes:
            # Few indexes know the project; those that do not are passed over.
            yield from _wheels(self._packages(f"{index.rstrip('/')}/{PROJECT}/") or ())
        for link in self.links:
            packages = self._packages(link)
            if packages is None:
                raise _no_such_links(link, "page")
            yield from _wheels(packages)
        for folder in self.folders:
            yield from _wheels_in_folder(Path(folder))

    def _packages(self, url: str) -> Iterable[DistributionPackage] | None:
        """What the page `url` lists, or None if its server is there and says that it has no such page."""
        with _errors_named(url, expected="a page of the simple API"):
            answer = self._session.get(url, timeout=self._timeout_seconds, headers={"Accept": ACCEPT_ANY})
            if _says_absent(answer):
                return None
            answer.raise_for_status()
            return ProjectPage.from_response(answer, PROJECT).packages


def configured_index() -> PackageIndex:
    """Return the indexes that pip or uv is configured with on this machine."""
    settings = pip_settings()
    environment = uv_environment(settings, os.environ)
    indexes: list[str] = []
    if "--no-index" not in uv_arguments(settings, os.environ):
        default = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
        indexes.append(default or PYPI_SIMPLE_ENDPOINT)
        for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL"):
            # uv allows a name before each: NAME=URL.
            indexes += [re.sub(r"^[\w.-]+=", "", url) for url in environment.get(name, "").split()]
    links = [link for link in environment.get("UV_FIND_LINKS", "").split(",") if link]
    pages = [link for link in links if "://" in link and not link.startswith("file:")]
    return PackageIndex(
        indexes=indexes,
        links=pages,
        folders=[unquote(urlsplit(link).path) for link in links if link not in pages],
        environment=environment,
    )


def _wheels(packages: Iterable[DistributionPackage]) -> Iterator[PublishedWheel]:
    for package in packages:
        # The text of a link in an HTML page need not be the name of the file.
        is_named = package.filename.endswith(".whl")
        filename = package.filename if is_named else _path(package.url).name
        if (version := _version_of(filename)) is not None:
            yield PublishedWheel(
                filename=filename,
                version=version,
                url=package.url,
                sha256=package.digests.get("sha256"),
                uploaded=package.upload_time,
                yanked=package.is_yanked,
            )


def _wheels_in_folder(folder: Path) -> Iterator[PublishedWheel]:
    if not folder.is_dir():
        raise _no_such_links(str(folder), "folder")
    for path in sorted(folder.glob("*.whl")):
        if (version := _version_of(path.name)) is not None:
            yield PublishedWheel(
                filename=path.name,
                version=version,
                url=path.absolute().as_uri(),
                sha256=None,
                uploaded=None,
                yanked=False,
            )


def _version_of(filename: str) -> Version | None:
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    return version if name == canonicalize_name(PROJECT) else None


def _says_absent(answer: Response) -> bool:
    """Whether `answer` says that there is no such page, and is not the lack of an answer."""
    if answer.url.startswith("file:"):
        # An index in a folder lacks a project's folder; where its own is missing, a disk is not mounted.
        project = _path(answer.url).parent
        return not project.exists() and project.parent.is_dir()
    # Indexes that are files in a bucket (download.pytorch.org) answer 403 for whatever they do not hold.
    # To a request with a password, 403 says that the password is refused; without one, 401 asks for it.
    is_anonymous = "Authorization" not in answer.request.headers
    return answer.status_code in (codes.not_found, codes.gone) or (
        answer.status_code == codes.forbidden and is_anonymous
    )


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _no_such_links(place: str, kind: str) -> MirrorError:
    return MirrorError(
        f"find-links {scrubbed(place)}: no such {kind}; expected a {kind} of wheels or of links to them; "
        "make it reachable, or remove it from the settings of pip or uv"
    )


@contextmanager
def _errors_named(url: str, *, expected: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, UnsupportedRepoVersionError) as error:
        reason = " ".join(str(error).split())
        raise MirrorError(
            scrubbed(
                f"{url}: could not be fetched ({reason}); expected {expected}; check the network and the "
                "settings of pip or uv, and run again"
            )
        ) from error
