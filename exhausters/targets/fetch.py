"""Finds a target's sources: fetches a release, uses a checkout in place, exports a commit."""

from __future__ import annotations

from bisect import bisect
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import InvalidVersion, Version

from exhausters.errors import InstallError, TargetNotFoundError
from exhausters.targets import git
from exhausters.targets.cache import MARKER, Progress, build_once, cache_root
from exhausters.targets.changes import changes_digest
from exhausters.targets.environments import Interpreter
from exhausters.targets.file_store import FILES_NAME, export_commit
from exhausters.targets.installer import Installer, UvInstaller
from exhausters.targets.target_spec import SUPPORTED_RELEASES

__all__ = ["Sources", "fetch_commit", "fetch_path", "fetch_release"]


@dataclass(frozen=True, kw_only=True)
class Sources:
    """An SGLang on disk.

    Attributes:
        source_dir: the folder that contains `sglang/`.
        commit: 40 hexadecimal digits, or None if unknown.
        head: what the repository tells of the commit.
        dirty: whether the files differ from `commit`.
        changes: short digest of what no commit describes (see `changes_digest`).
        is_ours: whether the folder belongs to this project's cache, so that bytecode may be written there.
    """

    source_dir: Path
    commit: str | None = None
    head: git.CommitHead = field(default_factory=git.CommitHead)
    dirty: bool = False
    changes: str | None = None
    is_ours: bool


def fetch_release(
    version: str,
    python: Interpreter,
    *,
    installer: Installer | None = None,
    on_progress: Progress | None = None,
) -> Sources:
    """Return the sources of a published release; they are fetched first if the cache has none.

    Raises:
        TargetNotFoundError: the package index has no such version.
        InstallError: it could not be fetched for another reason.
    """
    installer = installer or UvInstaller()

    def build(folder: Path) -> None:
        if on_progress is not None:
            on_progress(f"fetching release {version}")
        try:
            installer.install(
                [f"sglang=={version}"], python=python.path, with_dependencies=False, folder=folder
            )
        except InstallError as error:
            # uv's wording when the index knows sglang but not this version.
            if f"no version of sglang=={version}" in " ".join(str(error).split()):
                raise TargetNotFoundError(_no_such_release(version)) from error
            raise

    # Wheels contain compiled parts, so the folder belongs to one kind of interpreter.
    folder = cache_root() / "releases" / f"{version}-{python.tag}"
    build_once(folder, build, content={"sglang": version}, on_progress=on_progress)
    return Sources(source_dir=folder, is_ours=True)


def fetch_path(directory: Path) -> Sources:
    """Return the sources in a checkout, or in a folder that directly contains `sglang/`, untouched.

    Raises:
        TargetNotFoundError: there is no SGLang in `directory`.
    """
    for source_dir in (directory / "python", directory):
        if (source_dir / "sglang" / "srt").is_dir():
            commit, dirty = git.checkout_state(source_dir)
            changes = changes_digest(source_dir, commit, dirty=dirty)
            repository = git.git_dir(source_dir) if commit else None
            known = git.commit_head(repository, commit) if repository and commit else git.CommitHead()
            return Sources(
                source_dir=source_dir,
                commit=commit,
                head=known,
                dirty=dirty,
                changes=changes,
                is_ours=False,
            )
    problem = "contains no SGLang" if directory.is_dir() else "no such folder"
    raise TargetNotFoundError(
        f"path:{directory}: {problem}; expected a checkout (python/sglang/srt inside) or a folder with "
        "sglang/srt inside"
    )


def fetch_commit(directory: Path, revision: str, *, on_progress: Progress | None = None) -> Sources:
    """Return the sources of one commit of a local repository; they are exported first if the cache has none.

    They are what the commit has below `python/`. What SGLang compiles from elsewhere, such as its tree core
    in Rust, is there only if the commit holds it compiled, as those of a mirror made of releases do.

    Raises:
        TargetNotFoundError: no repository, no such commit, or a commit without `python/sglang`.
        TargetError: git could not read the commit's files.
    """
    repository = git.git_dir(directory)
    if repository is None:
        problem = "is no git repository" if directory.is_dir() else "no such folder"
        raise TargetNotFoundError(
            f"git:{directory}@{revision}: {directory} {problem}; expected a local clone"
        )
    commit = git.resolve_commit(repository, revision)
    if commit is None:
        raise TargetNotFoundError(
            f"git:{directory}@{revision}: {revision!r} names no commit there; check the spelling or run "
            "`git fetch` in it"
        )

    def build(folder: Path) -> None:
        if on_progress is not None:
            on_progress(f"exporting commit {commit}")
        if not git.has_folder(repository, commit, "python/sglang"):
            raise TargetNotFoundError(
                f"git:{directory}@{revision}: commit {commit} has no python/sglang; expected a commit of "
                "the SGLang repository"
            )
        # Not `rust/`: where SGLang finds that beside `python/`, it runs cargo as the scheduler boots, which
        # downloads crates and compiles for minutes, and without cargo or a network the boot fails.
        store = cache_root() / FILES_NAME
        export_commit(repository, commit, "python", folder, store=store, like=_latest_beside(folder))

    folder = cache_root() / "commits" / commit
    build_once(folder, build, content={"commit": commit}, on_progress=on_progress)
    head = git.commit_head(repository, commit)
    return Sources(source_dir=folder, commit=commit, head=head, is_ours=True)


def _latest_beside(folder: Path) -> Path | None:
    """The export that was used last: what was compiled of it is likely to be what this one needs."""
    found = []
    for marker in folder.parent.glob(f"*/{MARKER}"):
        with suppress(OSError):
            found.append((marker.stat().st_mtime, marker.parent))
    return max(found)[1] if found else None


def _no_such_release(version: str) -> str:
    try:
        place = bisect([Version(one) for one in SUPPORTED_RELEASES], Version(version))
        near = SUPPORTED_RELEASES[max(0, place - 2) : place + 2]
    except InvalidVersion:
        near = (SUPPORTED_RELEASES[0], "…", SUPPORTED_RELEASES[-1])
    return (
        f"release:{version}: not published for this Python and platform; nearest supported releases: "
        f"{', '.join(near)}"
    )
