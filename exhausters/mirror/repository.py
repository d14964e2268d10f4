"""The git repository of a mirror: created completely or not at all, and repaired after an interruption.

Every commit carries, as trailers of its message, which wheel it was made of; there is no other
state. A commit's branch and tag are moved in one transaction after the commit is complete, so whatever an
interruption leaves behind is either invisible or a reference that can be repaired.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from exhausters.errors import MirrorError
from exhausters.mirror.wheel import TreeFile
from exhausters.targets.cache import Progress, locked
from exhausters.targets.git import git_environment, run_git

__all__ = ["BRANCH", "Commit", "MirrorRepository", "opened"]

BRANCH = "main"
# No person made these commits.
IDENTITY = "sglang-exhausters mirror <mirror@invalid>"
# Raise when the same wheel must become a different commit.
LAYOUT = "1"

# Prefix of the folders for wheels that are being added.
SCRATCH = "tmp_wheel_"

_MARK = "exhausters.mirror"
_STAGING = "refs/exhausters/staging"
_TRAILERS = ("Release", "Wheel", "Wheel-SHA256", "Layout")
_FIELDS = "%x1f".join(
    ["%H", "%at", *(f"%(trailers:key={name},valueonly,separator=%x20)" for name in _TRAILERS)]
)


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One release in the mirror; `wheel` is a file name, `sha256` that of the file."""

    id: str
    date: datetime
    release: str
    wheel: str
    sha256: str


class MirrorRepository:
    """The bare repository `directory`; use `opened`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def git(self, *arguments: str, stdin: str = "") -> str:
        """Run git in the repository; raises MirrorError with git's output."""
        return run_git([f"--git-dir={self.directory}", *arguments], stdin=stdin, error=MirrorError)

    def commits(self) -> list[Commit]:
        """Return the branch's commits, oldest first; raises MirrorError if one is not of this layout."""
        if not self.git("for-each-ref", f"refs/heads/{BRANCH}"):
            return []
        text = self.git("log", "--first-parent", "--reverse", f"--format={_FIELDS}", f"refs/heads/{BRANCH}")
        return [self._commit(line) for line in text.splitlines() if line]

    def _commit(self, line: str) -> Commit:
        commit, date, release, wheel, sha256, layout = line.split("\x1f")
        if layout != LAYOUT:
            raise MirrorError(
                f"{self.directory}: commit {commit} was not made by this version of the mirror; "
                "remove the folder and mirror again"
            )
        moment = datetime.fromtimestamp(int(date), tz=UTC)
        return Commit(id=commit, date=moment, release=release, wheel=wheel, sha256=sha256)

    def repair(self) -> list[Commit]:
        """Repair references that an interruption left wrong, and return the branch's commits.

        Raises:
            MirrorError: objects are missing; only a new mirror helps.
        """
        self.remove_leftovers()
        commits = self.commits()
        if commits:
            self.git("rev-list", "--objects", "--quiet", f"refs/heads/{BRANCH}")
        wanted = {f"refs/tags/v{commit.release}": commit.id for commit in commits}
        listed = self.git(
            "for-each-ref", "--format=%(refname) %(objectname)", "refs/tags/v*", "refs/exhausters"
        )
        there = dict(line.split(" ") for line in listed.splitlines())
        changes = [f"delete {name}" for name in there if name not in wanted]
        changes += [f"update {name} {commit}" for name, commit in wanted.items() if there.get(name) != commit]
        self._update_refs(changes)
        return commits

    def remove_leftovers(self) -> None:
        """Remove the files of killed processes; under the lock of `opened` none of them is alive."""
        for pattern in ("*.lock", "refs/**/*.lock", "objects/**/tmp_*", "fast_import_crash_*"):
            for leftover in self.directory.glob(pattern):
                leftover.unlink(missing_ok=True)
        for leftover in self.directory.glob(f"{SCRATCH}*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def add(self, files: Iterable[TreeFile], *, release: str, message: str, date: datetime) -> str:
        """Commit `files` as the branch's new tip, tag it, and return its id.

        Raises:
            MirrorError: git failed; the branch and its tags are as before.
        """
        parent = self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{BRANCH}")
        header = self._commit_header(message, date, parent)
        command = ["git", f"--git-dir={self.directory}", "fast-import", "--quiet", "--done", "--force"]
        with tempfile.TemporaryFile() as errors:
            with subprocess.Popen(
                command, env=git_environment(), stdin=subprocess.PIPE, stderr=errors
            ) as importer:
                assert importer.stdin is not None
                # If git exits early, its own message is the reason; the broken pipe is only the consequence.
                with contextlib.suppress(BrokenPipeError):
                    importer.stdin.write(header)
                    for file in files:
                        mode = "100755" if file.executable else "100644"
                        importer.stdin.write(f"M {mode} inline {file.path}\ndata {len(file.data)}\n".encode())
                        importer.stdin.write(file.data + b"\n")
                    importer.stdin.write(b"done\n")
                    importer.stdin.close()
            if importer.returncode != 0:
                errors.seek(0)
                raise MirrorError(f"git fast-import: {errors.read().decode(errors='replace').strip()}")
        commit = self.git("rev-parse", _STAGING)
        self._update_refs(
            [
                f"update refs/heads/{BRANCH} {commit}",
                f"update refs/tags/v{release} {commit}",
                f"delete {_STAGING}",
            ]
        )
        return commit

    def _commit_header(self, message: str, date: datetime, parent: str) -> bytes:
        who = f"{IDENTITY} {int(date.timestamp())} +0000"
        body = message.encode()
        lines = [f"commit {_STAGING}", f"author {who}", f"committer {who}", f"data {len(body)}"]
        head = "\n".join(lines).encode() + b"\n" + body + b"\n"
        return head + (f"from {parent}\n".encode() if parent else b"") + b"deleteall\n"

    def compact(self) -> None:
        """Pack all commits into one file; neighbours share most of their content."""
        self.git("repack", "-a", "-d", "-q", "--window=20", "--depth=50")

    def _update_refs(self, changes: list[str]) -> None:
        if changes:
            self.git("update-ref", "--stdin", stdin="\n".join(["start", *changes, "prepare", "commit", ""]))


@contextmanager
def opened(directory: Path, *, kind: str, on_progress: Progress | None = None) -> Iterator[MirrorRepository]:
    """Open the mirror in `directory` and lock it; it is created if there is none.

    Args:
        directory: the bare repository's folder.
        kind: `releases` or `clone`; one folder never holds both.
        on_progress: called if another process holds it.

    Raises:
        MirrorError: the folder holds something else.
    """
    directory = directory.absolute()
    directory.parent.mkdir(parents=True, exist_ok=True)
    lock = directory.with_name(directory.name + ".lock")
    with locked(lock, what=f"the mirror {directory}", on_progress=on_progress):
        if not directory.exists() or not any(directory.iterdir()):
            _create(directory, kind)
        _check(directory, kind)
        yield MirrorRepository(directory)


def _create(directory: Path, kind: str) -> None:
    part = directory.with_name(directory.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    # An empty template keeps this machine's hooks out.
    run_git(
        ["init", "--quiet", "--bare", "--template=", f"--initial-branch={BRANCH}", str(part)],
        error=MirrorError,
    )
    for key, value in ((_MARK, kind), ("gc.auto", "0"), ("core.logAllRefUpdates", "false")):
        run_git([f"--git-dir={part}", "config", key, value], error=MirrorError)
    if directory.exists():
        directory.rmdir()
    os.rename(part, directory)


def _check(directory: Path, kind: str) -> None:
    expected = "expected an empty folder or an earlier mirror; choose another --into"
    config = directory / "config"
    if not config.is_file() or not (directory / "objects").is_dir():
        raise MirrorError(f"--into {directory}: holds something else; {expected}")
    found = run_git(["config", "--file", str(config), "--default", "", "--get", _MARK], error=MirrorError)
    if not found:
        raise MirrorError(f"--into {directory}: a repository, but not a mirror; {expected}")
    if found != kind:
        raise MirrorError(
            f"--into {directory}: a mirror of kind {found!r}, asked for {kind!r}; choose another --into"
        )
