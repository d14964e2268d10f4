"""Runs git, in an environment of its own and in English.

`run_git` runs any command; the other functions only read, and change neither the repository nor its working
tree. Only the mirror starts another git, which it streams to.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from exhausters.errors import TargetError

__all__ = [
    "CommitHead",
    "TreeFile",
    "blobs",
    "checkout_diff",
    "checkout_state",
    "commit_head",
    "git_dir",
    "git_environment",
    "has_folder",
    "resolve_commit",
    "run_git",
    "tree_files",
    "untracked_files",
]

_EXECUTABLE, _LINK, _SUBMODULE = "100755", "120000", "160000"


@dataclass(frozen=True, slots=True)
class CommitHead:
    """What a repository tells of a commit; empty if unknown.

    Attributes:
        committed: when it was committed, in ISO 8601.
        subject: first line of its message.
    """

    committed: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a commit.

    Attributes:
        path: relative to the folder that was asked for.
        blob: the id of its content, in hexadecimal.
        size_bytes: of its content; 0 of a submodule.
        mode: as git writes it.
    """

    path: str
    blob: str
    size_bytes: int
    mode: str

    @property
    def is_executable(self) -> bool:
        """Whether it may be run."""
        return self.mode == _EXECUTABLE

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link, whose content is the path it leads to."""
        return self.mode == _LINK

    @property
    def is_plain(self) -> bool:
        """Whether it is neither a link nor a submodule."""
        return not self.is_link and not self.is_submodule

    @property
    def is_submodule(self) -> bool:
        """Whether another repository would be here."""
        return self.mode == _SUBMODULE


def git_dir(directory: Path) -> Path | None:
    """Return the absolute git folder of the repository around `directory`, or None if there is none."""
    done = _git(["-C", str(directory), "rev-parse", "--absolute-git-dir"])
    return Path(_text(done)) if done.returncode == 0 else None


def resolve_commit(repository: Path, revision: str) -> str | None:
    """Return the 40 hexadecimal digits of the commit `revision` names, or None if it names none."""
    done = _git(
        [
            f"--git-dir={repository}",
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{revision}^{{commit}}",
        ]
    )
    return _text(done) if done.returncode == 0 else None


def commit_head(repository: Path, commit: str) -> CommitHead:
    """Return date and subject of a commit; empty if git cannot tell."""
    done = _git([f"--git-dir={repository}", "show", "--no-patch", "--format=%cI%x09%s", commit])
    committed, _, subject = (_text(done) if done.returncode == 0 else "").partition("\t")
    return CommitHead(committed, subject)


def checkout_state(source_dir: Path) -> tuple[str | None, bool]:
    """Return (commit, dirty) of the SGLang sources in `source_dir`.

    The commit is None if git does not track them, even where some other repository surrounds them.
    `dirty` is whether a tracked file below `source_dir` differs from the commit or a file that git does
    not ignore was added.
    """
    here = ["-C", str(source_dir)]
    if _git([*here, "ls-files", "--error-unmatch", "--", "sglang/__init__.py"]).returncode != 0:
        return None, False
    head = _git([*here, "rev-parse", "--verify", "--quiet", "HEAD"])
    if head.returncode != 0:
        return None, False
    # Without this option git would rewrite the index of a repository that is only read.
    status = _git(["--no-optional-locks", *here, "status", "--porcelain", "--", "."])
    return _text(head), bool(_text(status))


def checkout_diff(source_dir: Path) -> bytes:
    """Return what differs below `source_dir` between the working tree and its commit, as git prints it."""
    # Neither the user's settings nor the folder that git is asked from may change the text.
    plain = ["--no-ext-diff", "--no-color", "--no-textconv", "--binary", "--full-index", "--no-relative"]
    done = _git(["--no-optional-locks", "-C", str(source_dir), "diff", *plain, "HEAD", "--", "."])
    return done.stdout


def untracked_files(source_dir: Path, pattern: str) -> list[str]:
    """Return files below `source_dir` that match, and that git neither tracks nor ignores, relative to it."""
    here = ["--no-optional-locks", "-C", str(source_dir)]
    done = _git([*here, "ls-files", "-z", "--others", "--exclude-standard", "--", pattern])
    return [file for file in done.stdout.decode(errors="surrogateescape").split("\0") if file]


def has_folder(repository: Path, commit: str, folder: str) -> bool:
    """Return whether `folder` exists in `commit`."""
    done = _git([f"--git-dir={repository}", "cat-file", "-t", f"{commit}:{folder}"])
    return done.returncode == 0 and _text(done) == "tree"


def tree_files(repository: Path, commit: str, folder: str) -> list[TreeFile]:
    """Return the files below `folder` as they are in `commit`; raises TargetError if git cannot list them."""
    done = _git([f"--git-dir={repository}", "ls-tree", "-r", "-l", "-z", f"{commit}:{folder}"])
    if done.returncode != 0:
        raise _unreadable(repository, f"{folder}/ of commit {commit}", done.stderr)
    found = []
    for entry in done.stdout.split(b"\0")[:-1]:
        about, _, path = entry.partition(b"\t")
        mode, _, blob, size = about.decode().split()
        if mode != _SUBMODULE and not size.isdecimal():  # `BAD`: the repository lost it
            raise _unreadable(repository, f"the file {os.fsdecode(path)}", done.stderr)
        size_bytes = 0 if mode == _SUBMODULE else int(size)
        found.append(TreeFile(path=os.fsdecode(path), blob=blob, size_bytes=size_bytes, mode=mode))
    return found


def blobs(repository: Path, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the content of each id, in turn; raises TargetError where the repository lacks one."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return
    with tempfile.TemporaryFile() as asked:
        asked.write("".join(f"{blob}\n" for blob in wanted).encode())
        asked.seek(0)
        command = ["git", f"--git-dir={repository}", "cat-file", "--batch"]
        with subprocess.Popen(
            command, env=git_environment(), stdin=asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as sender:
            assert sender.stdout is not None
            assert sender.stderr is not None
            for blob in wanted:
                head = sender.stdout.readline().split()
                if len(head) != 3:
                    sender.kill()
                    raise _unreadable(repository, f"the file {blob}", sender.stderr.read())
                content = sender.stdout.read(int(head[2]))
                sender.stdout.read(1)  # the end of its line
                yield blob, content


def _unreadable(repository: Path, what: str, output: bytes) -> TargetError:
    return TargetError(
        f"{repository}: could not export {what}; check the repository with `git fsck`\n"
        f"{output.decode(errors='replace').strip()}"
    )


def run_git(arguments: list[str], *, stdin: str = "", error: type[TargetError] = TargetError) -> str:
    """Run git and return what it printed, stripped; raises `error` with git's output if it fails."""
    done = _git(arguments, stdin=stdin)
    if done.returncode != 0:
        output = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise error(f"`git {' '.join(arguments)}` failed: {output}")
    return _text(done)


def _git(arguments: list[str], *, stdin: str = "") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments],
            env=git_environment(),
            input=stdin.encode(),
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise TargetError("git: command not found; install git to use checkouts and commits") from error


def git_environment() -> dict[str, str]:
    """Return this process's environment for git: without the names of a repository, output in English."""
    # Inside a git hook these name the repository of the hook, not the one that is asked about.
    local = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"}
    kept = {name: value for name, value in os.environ.items() if name not in local}
    # The mirror reads in git's output why a repository gave no answer.
    return {**kept, "LC_ALL": "C"}


def _text(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stdout.decode(errors="replace").strip()
