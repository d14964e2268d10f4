"""Runs git, in an environment of its own and in English.

`run_git` runs any command and `export_folder` writes a folder; the other functions only read, and change
neither the repository nor its working tree. Only the mirror starts another git, which it streams to.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from exhausters.errors import TargetError

__all__ = [
    "checkout_diff",
    "checkout_state",
    "commit_subject",
    "export_folder",
    "git_dir",
    "git_environment",
    "has_folder",
    "resolve_commit",
    "run_git",
    "untracked_files",
]


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


def commit_subject(repository: Path, commit: str) -> str:
    """Return the first line of a commit's message; empty if git cannot tell."""
    done = _git([f"--git-dir={repository}", "show", "--no-patch", "--format=%s", commit])
    return _text(done) if done.returncode == 0 else ""


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


def export_folder(repository: Path, commit: str, folder: str, destination: Path) -> None:
    """Write `folder` as it is in `commit` into the existing folder `destination`.

    Raises:
        TargetError: git or tar failed; the message ends with what they printed.
    """
    archive = [f"--git-dir={repository}", "archive", "--format=tar", f"{commit}:{folder}"]
    with subprocess.Popen(
        ["git", *archive], env=git_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as sender:
        unpacked = subprocess.run(
            ["tar", "-xf", "-", "-C", str(destination)], stdin=sender.stdout, capture_output=True, check=False
        )
        errors = sender.stderr.read() if sender.stderr is not None else b""
    if sender.returncode != 0 or unpacked.returncode != 0:
        output = (errors + unpacked.stderr).decode(errors="replace").strip()
        raise TargetError(
            f"{repository}: could not export {folder}/ of commit {commit}; check the repository with "
            f"`git fsck`\n{output}"
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
