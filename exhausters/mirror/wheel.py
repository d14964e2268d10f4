"""One release's files, read from its wheel and laid out as in SGLang's own repository."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from types import TracebackType

from packaging.requirements import InvalidRequirement, Requirement

from exhausters.errors import MirrorError

__all__ = ["TreeFile", "WheelTree", "pyproject_text"]

_EXECUTABLE_BITS = 0o111


@dataclass(frozen=True, kw_only=True)
class TreeFile:
    """One file of a commit.

    Attributes:
        path: relative to the repository's root, with slashes.
        executable: whether git's mode is 100755 instead of 100644.
        data: its content.
    """

    path: str
    executable: bool
    data: bytes


class WheelTree:
    """The tree of a commit that stands for one wheel; a context manager.

    Packages go below `python/`, as upstream has them, compiled extension modules included: a commit must
    run exactly as the release does. `python/pyproject.toml` is made from the wheel's METADATA, and the
    licence is at the root.

    Raises:
        MirrorError: not a wheel.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
            information = [
                name for name in self._zip.namelist() if name.endswith(".dist-info/METADATA") and "/" in name
            ]
            self._information = PurePosixPath(information[0]).parent
            self._metadata = self._zip.read(information[0]).decode("utf-8")
        except (zipfile.BadZipFile, IndexError, UnicodeDecodeError) as error:
            raise MirrorError(
                f"{path.name}: expected a wheel with a METADATA file ({error}); run again"
            ) from error

    def __enter__(self) -> WheelTree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    @property
    def newest(self) -> datetime:
        """Modification time of the newest file; zip files have no time zone, so UTC is assumed."""
        return max(datetime(*info.date_time, tzinfo=UTC) for info in self._zip.infolist())

    def files(self) -> Iterator[TreeFile]:
        """Yield every file of the commit once, by path; raises MirrorError for a path outside of it."""
        members = {self._place(info.filename): info for info in self._zip.infolist() if not info.is_dir()}
        members.pop(None, None)
        for path, info in sorted((path, info) for path, info in members.items() if path is not None):
            if "\n" in path or path.startswith(("/", '"')) or ".." in path.split("/"):
                raise MirrorError(f"{self._path.name}: {info.filename!r}: unsafe file name in a wheel")
            executable = bool((info.external_attr >> 16) & _EXECUTABLE_BITS)
            yield TreeFile(path=path, executable=executable, data=self._zip.read(info))
        text = pyproject_text(self._metadata, source=self._path.name)
        yield TreeFile(path="python/pyproject.toml", executable=False, data=text.encode())

    def _place(self, member: str) -> str | None:
        """The path in the repository of a member of the wheel, or None if it is left out."""
        parts = PurePosixPath(member).parts
        if parts[0] == str(self._information):
            return "LICENSE" if parts[1:] in (("licenses", "LICENSE"), ("LICENSE",)) else None
        if parts[0].endswith(".data"):
            return "/".join(("python", *parts[2:])) if parts[1] in ("purelib", "platlib") else None
        return f"python/{member}"


def pyproject_text(metadata: str, *, source: str) -> str:
    """Return a `pyproject.toml` that states what a wheel's METADATA states.

    Requirements are copied word for word; those of extras are left out, as no environment here has extras.

    Raises:
        MirrorError: a requirement cannot be parsed; the message starts with `source`.
    """
    headers = HeaderParser().parsestr(metadata)
    lines = ["# Made from the METADATA of the published wheel.", "[project]"]
    for key, header in (("name", "Name"), ("version", "Version"), ("requires-python", "Requires-Python")):
        if headers[header]:
            lines.append(f"{key} = {_toml_string(headers[header])}")
    lines.append("dependencies = [")
    lines += [f"    {_toml_string(requirement)}," for requirement in _requirements(headers, source)]
    lines.append("]")
    return "\n".join(lines) + "\n"


def _requirements(headers: Message, source: str) -> list[str]:
    stated = [str(line) for line in headers.get_all("Requires-Dist") or []]
    try:
        return [line for line in stated if not _is_of_an_extra(Requirement(line))]
    except InvalidRequirement as error:
        raise MirrorError(f"{source}: expected requirements as in PEP 508: {error}") from error


def _is_of_an_extra(requirement: Requirement) -> bool:
    marker = requirement.marker
    return marker is not None and "extra" in str(marker) and not marker.evaluate({"extra": ""})


def _toml_string(text: str) -> str:
    # JSON's strings are TOML's basic strings, as long as nothing beyond ASCII is escaped in surrogates.
    return json.dumps(text, ensure_ascii=False)
