"""A mirror made from a clone of SGLang: the clone's own commits, with only the files that a range needs.

From a local folder the commits of the range are copied with all their files, and no network is used. From
a URL the commits come without files (`--filter=blob:none`), then the files below `python/` of the range's
commits on the first-parent line, in one request; git fetches anything else on demand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from packaging.version import InvalidVersion, Version

from exhausters.errors import MirrorError, TargetError, TargetNotFoundError
from exhausters.mirror.ranges import VersionRange, backwards
from exhausters.mirror.releases import MirrorReport
from exhausters.mirror.repository import BRANCH, MirrorRepository, opened
from exhausters.targets.cache import Progress
from exhausters.targets.installer import scrubbed

__all__ = ["mirror_clone"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/@]+@[^/:]+:")
_FULL_ID = re.compile(r"[0-9a-f]{40}")
_TAGS, _HEADS = "refs/tags/", "refs/heads/"
# What git, a server or an SSH gateway prints when it was reached and holds no such repository.
_NO_REPOSITORY = re.compile(
    r"does not appear to be a git repository|repository '.*' not found|repository not found|not exported",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What to fetch: references of the source, the range's first end (or None) and its last."""

    references: tuple[str, ...]
    first: str | None
    last: str


def mirror_clone(
    source: str,
    range_text: str | None,
    directory: Path,
    *,
    on_progress: Progress = lambda what: None,
) -> MirrorReport:
    """Make the mirror in `directory` hold what `range_text` names in the repository `source`.

    Args:
        source: a folder or a URL.
        range_text: `A..B` or `B`, of releases (all release tags between them come along), tags, branches
            or full commit ids; None for the source's own HEAD and all its release tags.
        directory: a bare repository; its branch `main` is put on the range's last commit.

    Raises:
        TargetSpecError: the range's newer end comes first.
        TargetNotFoundError: no such repository, or it has no such revision.
        MirrorError: the folder holds something else, or git failed, as it does without a network.
    """
    if range_text is not None:
        _refuse_newer_release_first(range_text)
    is_remote = _URL.match(source) is not None
    place = source if is_remote else str(Path(source).expanduser().absolute())
    if not is_remote and not Path(place).is_dir():
        raise TargetNotFoundError(f"--from {source}: no such folder; expected `pypi`, a clone or a URL")
    with opened(directory, kind="clone", on_progress=on_progress) as repository:
        repository.remove_leftovers()
        _set_origin(repository, place, source)
        on_progress(f"listing the references of {scrubbed(source)}")
        listed = _listed(repository, source)
        wanted = _wanted(listed, range_text, source)
        before = _version_tags(_local_tags(repository))
        on_progress(f"fetching {range_text or 'HEAD and all releases'}")
        refspecs = [f"+{name}:{name}" if name.startswith(_TAGS) else name for name in wanted.references]
        filtered = ["--filter=blob:none"] if is_remote else []
        repository.git("fetch", "--quiet", "--no-tags", *filtered, "origin", *refspecs)
        last = repository.git("rev-parse", "--verify", f"{wanted.last}^{{commit}}")
        if wanted.first is not None and _is_backwards(repository, wanted.first, last):
            raise backwards(range_text or "")
        repository.git("update-ref", f"{_HEADS}{BRANCH}", last)
        if is_remote:
            _fetch_files(repository, wanted.first, last, on_progress)
        tags = _version_tags(_local_tags(repository))
    names = tuple(tags[version] for version in sorted(tags))
    added = tuple(tags[version] for version in sorted(tags) if version not in before)
    return MirrorReport(directory=directory, tags=names, added=added)


def _set_origin(repository: MirrorRepository, place: str, source: str) -> None:
    known = repository.git("config", "--default", "", "--get", "remote.origin.url")
    if known and known != place:
        raise MirrorError(
            f"--into {repository.directory}: a mirror of {scrubbed(known)}, asked for {scrubbed(source)}; "
            "choose another --into"
        )
    repository.git("config", "remote.origin.url", place)


def _refuse_newer_release_first(range_text: str) -> None:
    """Refuse a backwards range of releases before anything is created or fetched."""
    first, _, last = (_version(end) for end in range_text.partition(".."))
    if first is not None and last is not None and first > last:
        raise backwards(range_text)


def _is_backwards(repository: MirrorRepository, first: str, last: str) -> bool:
    """Whether `last` is an ancestor of `first`: git's range between them would be empty."""
    is_same = repository.git("rev-parse", f"{first}^{{commit}}") == last
    return not is_same and not repository.git("rev-list", "--max-count=1", f"{first}..{last}")


def _listed(repository: MirrorRepository, source: str) -> dict[str, str]:
    """References of the source by name, `HEAD` among them."""
    try:
        lines = repository.git("ls-remote", "origin").splitlines()
    except MirrorError as error:
        raise _no_answer(source, scrubbed(str(error))) from error
    pairs = (line.split("\t") for line in lines)
    return {name: commit for commit, name in pairs if not name.endswith("^{}")}


def _no_answer(source: str, output: str) -> TargetError:
    """The error for a source that did not list its references; it ends with git's output."""
    place = f"--from {scrubbed(source)}"
    if _NO_REPOSITORY.search(output):
        return TargetNotFoundError(f"{place}: no repository there; expected a clone or its URL\n{output}")
    return MirrorError(
        f"{place}: git got no answer that says whether a repository is there; expected the output of "
        f"`git ls-remote`; check the network, the address and your access to it, and run again\n{output}"
    )


def _wanted(listed: Mapping[str, str], range_text: str | None, source: str) -> _Wanted:
    releases = _version_tags(name.removeprefix(_TAGS) for name in listed if name.startswith(_TAGS))
    if range_text is None:
        if "HEAD" not in listed:
            raise TargetNotFoundError(f"--from {scrubbed(source)}: has no HEAD; name a range")
        tags = (f"{_TAGS}{name}" for name in releases.values())
        return _Wanted(references=("HEAD", *tags), first=None, last=listed["HEAD"])
    first_text, dots, last_text = range_text.partition("..")
    last = _resolve(last_text if dots else first_text, listed, releases, source)
    first = _resolve(first_text, listed, releases, source) if dots else None
    between: list[str] = []
    ends = [_version(text) for text in (first_text, last_text)]
    if dots and ends[0] is not None and ends[1] is not None:
        inside = VersionRange(first=ends[0], last=ends[1])
        between = [f"{_TAGS}{releases[version]}" for version in sorted(releases) if version in inside]
    references = dict.fromkeys(name for name in (first, *between, last) if name is not None)
    return _Wanted(
        references=tuple(references),
        first=None if first is None else _local(first, listed),
        last=_local(last, listed),
    )


def _resolve(text: str, listed: Mapping[str, str], releases: Mapping[Version, str], source: str) -> str:
    """The full name of the reference that `text` means in the source, or `text` if it is a commit id."""
    version = _version(text)
    if version is not None and version in releases:
        return f"{_TAGS}{releases[version]}"
    for name in (text, f"{_TAGS}{text}", f"{_HEADS}{text}"):
        if name in listed:
            return name
    if _FULL_ID.fullmatch(text):
        return text
    short = [name.rpartition("/")[2] for name in listed]
    near = get_close_matches(text, short, n=4, cutoff=0.5)
    hint = f"; nearest: {', '.join(near)}" if near else ""
    raise TargetNotFoundError(
        f"--from {scrubbed(source)}: {text!r} is not a release, tag, branch or full commit id there{hint}"
    )


def _local(name: str, listed: Mapping[str, str]) -> str:
    """The name of a reference in this repository: branches are stored as commits only."""
    return name if name.startswith(_TAGS) else listed.get(name, name)


def _fetch_files(repository: MirrorRepository, first: str | None, last: str, on_progress: Progress) -> None:
    """Fetch the files below `python/` that this repository lacks for the range's commits, in one request."""
    commits = [last]
    if first is not None:
        commits += repository.git("rev-list", "--first-parent", f"{first}..{last}").splitlines()
        commits.append(repository.git("rev-parse", f"{first}^{{commit}}"))
    trees = "\n".join(f"{commit}:python" for commit in dict.fromkeys(commits))
    objects = repository.git("rev-list", "--objects", "--missing=print", "--no-walk", "--stdin", stdin=trees)
    missing = [line[1:] for line in objects.splitlines() if line.startswith("?")]
    if missing:
        on_progress(f"fetching {len(missing)} files")
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--stdin")
        # Without "noop", git would first tell the server about every commit it has.
        repository.git(
            "-c", "fetch.negotiationAlgorithm=noop", "fetch", *options, "origin", stdin="\n".join(missing)
        )


def _local_tags(repository: MirrorRepository) -> list[str]:
    return repository.git("tag", "--list").splitlines()


def _version_tags(names: Iterable[str]) -> dict[Version, str]:
    found = ((_version(name), name) for name in names)
    return {version: name for version, name in found if version is not None}


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
