"""A mirror made of published releases: one commit and one tag each, in the order of their versions.

A commit's id depends on its wheel, on the wheel's upload time and on the commits before it. A mirror that
begins at the same release therefore has the same ids on every machine that takes the same wheels from an
index that states upload times. Two things make ids differ. A release may have a wheel for each Python, and
the one for this interpreter is taken. And an index without upload times, such as a folder of wheels, leaves
a commit dated by the newest file in its wheel; the report has a note on that.
"""

from __future__ import annotations

import tempfile
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from packaging.tags import Tag, sys_tags
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from exhausters.errors import MirrorError, TargetNotFoundError
from exhausters.mirror.index import PackageIndex, PublishedWheel
from exhausters.mirror.ranges import VersionRange
from exhausters.mirror.repository import LAYOUT, SCRATCH, Commit, MirrorRepository, opened
from exhausters.mirror.wheel import WheelTree
from exhausters.targets.cache import Progress

__all__ = ["MirrorReport", "mirror_releases"]


@dataclass(frozen=True, kw_only=True)
class MirrorReport:
    """What a mirror holds afterwards.

    Attributes:
        directory: the repository.
        tags: every tag, oldest first.
        added: tags that are new.
        notes: one sentence per release of the range that the mirror does not hold, and one on commits that
            were added without an upload time.
    """

    directory: Path
    tags: tuple[str, ...]
    added: tuple[str, ...]
    notes: tuple[str, ...] = ()


def mirror_releases(
    wanted: VersionRange,
    directory: Path,
    index: PackageIndex,
    *,
    on_progress: Progress = lambda what: None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> MirrorReport:
    """Make the mirror in `directory` hold the published releases of `wanted`.

    Releases that it holds already are checked against the index and kept. A mirror grows at its end only;
    releases between its last and the first of `wanted` are taken too, so that it has no gap.

    Raises:
        TargetNotFoundError: an end of the range is not published for this Python and platform.
        MirrorError: the folder, the index, a wheel or git; the message says which.
    """
    published, notes = _published(wanted, index)
    with opened(directory, kind="releases", on_progress=on_progress) as repository:
        held = repository.repair()
        notes += _check_held(held, wanted, published, directory)
        newest = Version(held[-1].release) if held else None
        first = wanted.first if newest is None else newest
        missing = [
            wheel
            for version, wheel in published.items()
            if first <= version <= wanted.last and (newest is None or version > newest)
        ]
        added = []
        for done, wheel in enumerate(missing):
            on_step(done, len(missing))
            _add(repository, wheel, index, on_progress)
            added.append(f"v{wheel.version}")
        on_step(len(missing), len(missing))
        if added:
            on_progress("packing")
            repository.compact()
        notes += _undated(missing)
        tags = tuple(f"v{commit.release}" for commit in repository.commits())
    return MirrorReport(directory=directory, tags=tags, added=tuple(added), notes=tuple(notes))


def _published(wanted: VersionRange, index: PackageIndex) -> tuple[dict[Version, PublishedWheel], list[str]]:
    """The wheel to take for each published release, oldest first, and notes on those without one."""
    by_version: dict[Version, list[PublishedWheel]] = {}
    for wheel in index.wheels:
        by_version.setdefault(wheel.version, []).append(wheel)
    for end in (wanted.first, wanted.last):
        if end not in by_version:
            raise TargetNotFoundError(_not_published(end, sorted(by_version)))
    preference = {tag: place for place, tag in enumerate(sys_tags())}
    chosen: dict[Version, PublishedWheel] = {}
    notes = []
    for version, wheels in sorted(by_version.items()):
        is_end = version in (wanted.first, wanted.last)
        if (version.is_prerelease or all(wheel.yanked for wheel in wheels)) and not is_end:
            continue
        best = min(wheels, key=lambda wheel: _rank(wheel, preference))
        if _rank(best, preference) < len(preference):
            chosen[version] = best
        elif is_end:
            raise TargetNotFoundError(f"release {version}: no wheel for this Python and platform")
        elif version in wanted:
            notes.append(f"v{version}: left out, it has no wheel for this Python and platform")
    return chosen, notes


def _rank(wheel: PublishedWheel, preference: dict[Tag, int]) -> int:
    tags = parse_wheel_filename(wheel.filename)[3]
    return min((preference.get(tag, len(preference)) for tag in tags), default=len(preference))


def _not_published(version: Version, known: Sequence[Version]) -> str:
    place = bisect(known, version)
    near = ", ".join(str(one) for one in known[max(0, place - 2) : place + 2])
    return f"release {version}: not published; its neighbours are {near}"


def _check_held(
    held: Sequence[Commit],
    wanted: VersionRange,
    published: dict[Version, PublishedWheel],
    directory: Path,
) -> list[str]:
    """Compare what the mirror holds with what is published; return notes on what it cannot hold."""
    if not held:
        return []
    oldest, newest = Version(held[0].release), Version(held[-1].release)
    if wanted.first < oldest:
        raise MirrorError(
            f"--into {directory}: begins at v{oldest}, asked for {wanted.first}; older releases would change "
            "every commit id, so choose another --into, or remove the folder"
        )
    for commit in held:
        wheel = published.get(Version(commit.release))
        if wheel is None:
            continue  # yanked since, or no longer listed; it is still what was published
        if wheel.filename != commit.wheel or wheel.sha256 not in (None, commit.sha256):
            raise MirrorError(
                f"--into {directory}: v{commit.release} was made of {commit.wheel} ({commit.sha256[:12]}), "
                f"the index now offers {wheel.filename} ({(wheel.sha256 or '?')[:12]}); choose another --into"
            )
    there = {Version(commit.release) for commit in held}
    late = [version for version in published if oldest < version < newest and version not in there]
    return [
        f"v{version}: left out, it was published after this mirror had passed it; remove the folder to get it"
        for version in late
        if version in wanted
    ]


def _add(
    repository: MirrorRepository, wheel: PublishedWheel, index: PackageIndex, on_progress: Progress
) -> None:
    held = repository.commits()
    with tempfile.TemporaryDirectory(dir=repository.directory, prefix=SCRATCH) as scratch:
        path = Path(scratch) / wheel.filename
        on_progress(f"v{wheel.version}: fetching {wheel.filename}")
        sha256 = index.download(wheel, path)
        with WheelTree(path) as tree:
            date, source = _date(wheel, tree.newest, held[-1].date if held else None)
            on_progress(f"v{wheel.version}: committing")
            message = _message(wheel, sha256, source)
            repository.add(tree.files(), release=str(wheel.version), message=message, date=date)


def _date(wheel: PublishedWheel, newest_file: datetime, previous: datetime | None) -> tuple[datetime, str]:
    """The commit's date, whole seconds, later than the previous commit's, and where it comes from."""
    if wheel.uploaded is not None:
        date, source = wheel.uploaded, "upload time of the wheel"
    else:
        date, source = newest_file, "newest file in the wheel (the index gives no upload time)"
    date = date.astimezone(UTC).replace(microsecond=0)
    if previous is not None and date <= previous:
        return previous + timedelta(seconds=1), f"{source}, {date.isoformat()}, moved behind its predecessor"
    return date, source


def _undated(added: Sequence[PublishedWheel]) -> list[str]:
    """A note on the commits whose ids would differ with another index."""
    names = [f"v{wheel.version}" for wheel in added if wheel.uploaded is None]
    if not names:
        return []
    return [
        f"{', '.join(names)}: the index gives no upload time, so the newest file in the wheel dates the "
        "commit; from there on commit ids differ from those of a mirror made where the index gives it"
    ]


def _message(wheel: PublishedWheel, sha256: str, date_source: str) -> str:
    return (
        f"SGLang {wheel.version}\n\n"
        "Made from the published wheel; this is no commit of SGLang's own repository.\n\n"
        f"Release: {wheel.version}\n"
        f"Wheel: {wheel.filename}\n"
        f"Wheel-SHA256: {sha256}\n"
        f"Date-Source: {date_source}\n"
        f"Layout: {LAYOUT}\n"
    )
