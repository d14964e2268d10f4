"""How a user names an SGLang, and the releases that this project supports.

    release:0.5.23      a published release, fetched through the user's own package index
    path:DIR            a checkout (DIR/python/sglang) or a folder that contains sglang/, used in place
    git:DIR@REV         one commit of a local repository, bare or not; its working tree stays untouched

Parsing looks at the text only: `exhausters.targets.prepare.prepare` finds out whether the
release, folder or commit exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.version import InvalidVersion, Version

from exhausters.errors import TargetSpecError

__all__ = [
    "NEWEST_RELEASE",
    "REACHED_RELEASES",
    "SUPPORTED_RELEASES",
    "TargetKind",
    "TargetSpec",
    "parse_target",
]

SUPPORTED_RELEASES: tuple[str, ...] = (
    "0.5.13",
    "0.5.13.post1",
    "0.5.14",
    "0.5.15",
    "0.5.15.post1",
    "0.5.16",
    "0.5.17",
    "0.5.18",
    "0.5.19",
    "0.5.20",
    "0.5.21",
    "0.5.22",
    "0.5.23",
)
"""Releases that `make test-releases` runs, oldest first. Other releases are accepted, but not tested."""

REACHED_RELEASES: tuple[str, ...] = (
    "0.5.6",
    "0.5.6.post1",
    "0.5.6.post2",
    "0.5.7",
    "0.5.8",
    "0.5.8.post1",
    "0.5.9",
    "0.5.10",
    "0.5.10.post1",
    "0.5.11",
    "0.5.12",
    "0.5.12.post1",
)
"""Older releases that boot and drain as well, oldest first; in no default range (docs/older_releases.md)."""

NEWEST_RELEASE: str = SUPPORTED_RELEASES[-1]

TargetKind = Literal["release", "path", "git"]

_FORMS = "release:0.5.23, path:DIR or git:DIR@REV"

# The last "@" separates, except that a revision may itself end in "@{...}" (git's reflog syntax).
_GIT_FORM = re.compile(r"(?P<directory>.+)@(?P<revision>(?![-{])[^@\s]+(?:@\{[^}]*\})?)")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/@]+@[^/:]+:")


@dataclass(frozen=True, kw_only=True)
class TargetSpec:
    """One SGLang, as named by the user.

    Attributes:
        kind: which of the three forms it is.
        text: the canonical form; two specs with equal text name the same target.
        version: the release's version (kind "release"), else None.
        directory: absolute folder (kinds "path" and "git"), else None.
        revision: anything git can resolve to a commit (kind "git"), else None.
    """

    kind: TargetKind
    text: str
    version: str | None = None
    directory: Path | None = None
    revision: str | None = None

    def __str__(self) -> str:
        return self.text


def parse_target(text: str) -> TargetSpec:
    """Return the spec that `text` stands for.

    Raises:
        TargetSpecError: the text has none of the three forms.
    """
    kind, separator, rest = text.strip().partition(":")
    if not separator or not rest:
        raise TargetSpecError(f"target {text!r}: expected {_FORMS}")
    if kind == "release":
        return _release(text, rest)
    if kind == "path":
        directory = _absolute(rest)
        return TargetSpec(kind="path", text=f"path:{directory}", directory=directory)
    if kind == "git":
        return _git(text, rest)
    raise TargetSpecError(f"target {text!r}: unknown kind {kind!r}; expected {_FORMS}")


def _release(text: str, version: str) -> TargetSpec:
    try:
        canonical = str(Version(version))
    except InvalidVersion:
        raise TargetSpecError(
            f"target {text!r}: {version!r} is not a version; expected one such as release:{NEWEST_RELEASE}"
        ) from None
    return TargetSpec(kind="release", text=f"release:{canonical}", version=canonical)


def _git(text: str, rest: str) -> TargetSpec:
    if _REMOTE.match(rest):
        raise TargetSpecError(
            f"target {text!r}: expected a local repository; clone it first, then use git:DIR@REV"
        )
    match = _GIT_FORM.fullmatch(rest)
    if match is None:
        raise TargetSpecError(
            f"target {text!r}: expected git:DIR@REV, a local repository and a commit, tag or branch"
        )
    directory = _absolute(match["directory"])
    revision = match["revision"]
    return TargetSpec(kind="git", text=f"git:{directory}@{revision}", directory=directory, revision=revision)


def _absolute(directory: str) -> Path:
    return Path(directory).expanduser().absolute()
