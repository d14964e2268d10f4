"""The builds of a dashboard: what they are called, and where on the web they can be looked up.

Links lead to one repository (`repository` in the configuration, SGLang's own by default). A release leads to
its page, a commit to the commit, and a subject that ends in `(#123)`, as merges of pull requests do, to the
pull request as well. What does not look like a release or a commit has no link.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reports.load.commits import KnownCommit

_RELEASE: Final = re.compile(r"v?\d+(?:\.\w+)*")
_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")
_PULL_REQUEST: Final = re.compile(r"\(#(\d{1,9})\)\s*$")
# Digits of a commit that a reader sees; git shows nine of SGLang's.
_SHORT: Final = 9


def describe_builds(
    builds: Sequence[Mapping[str, Any]],
    targets: Sequence[str],
    *,
    repository: str,
    known: Mapping[str, KnownCommit] | None = None,
) -> list[dict[str, Any]]:
    """Return each target as plain JSON values.

    {"name": the target, without `release:`; "label": short, and no other build's; "is_release"
     "version", "commit", "date", "subject": as measured, null or empty where unknown
     "url": page of the release or commit, or null; "pull_request": its number, or null; "pull_request_url"}

    Args:
        builds: rows of `results_document(...)["builds"]`.
        targets: the targets wanted, in the order wanted.
        repository: web address of the repository, without a slash at the end; empty for no links.
        known: commits by their full id, for results that hold no subjects.
    """
    first = {build["target"]: build for build in reversed(builds)}
    described = [
        _build(target, first[target], repository, (known or {}).get(first[target]["commit"] or ""))
        for target in targets
    ]
    counts = Counter(build["label"] for build in described)
    for build in described:
        if counts[build["label"]] > 1:
            build["label"] = build["name"]
    return described


def _build(
    target: str, build: Mapping[str, Any], repository: str, known: KnownCommit | None
) -> dict[str, Any]:
    known = known or KnownCommit()
    name = target.removeprefix("release:")
    commit, subject = build["commit"], build.get("subject") or known.subject
    release = name if target.startswith("release:") else known.tag
    is_release = bool(_RELEASE.fullmatch(release))
    pull_request = _PULL_REQUEST.search(subject)
    number = int(pull_request[1]) if pull_request else None
    return {
        "name": name,
        "label": release.removeprefix("v") if is_release else _label(name),
        "is_release": is_release,
        "version": build["version"],
        "commit": commit,
        "date": build["date"],
        "subject": subject,
        "url": _url(repository, release if is_release else "", commit),
        "pull_request": number,
        "pull_request_url": f"{repository}/pull/{number}" if repository and number else None,
    }


def _label(name: str) -> str:
    """`git:sglang@<40 digits>` as its nine first digits, `path:sglang` as `sglang`."""
    kind, colon, rest = name.partition(":")
    if not colon or kind not in ("git", "path"):
        return name[:_SHORT] if _COMMIT.fullmatch(name) else name
    place, at, revision = rest.partition("@")
    if kind == "path" or not at:
        return rest
    return revision[:_SHORT] if _COMMIT.fullmatch(revision) else f"{place}@{revision}"


def _url(repository: str, release: str, commit: object) -> str | None:
    if not repository:
        return None
    if release:
        return f"{repository}/releases/tag/v{release.removeprefix('v')}"
    if isinstance(commit, str) and _COMMIT.fullmatch(commit):
        return f"{repository}/commit/{commit}"
    return None
