"""What exported commits take on disk: a folder each, as `git archive` makes them, and sharing equal files.

    python -m benchmarks.exports --repo DIR [--head REV] [--commits 10]

Works in a temporary folder; the cache is not touched. Prints a line for each commit, oldest first.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

from exhausters.targets.git import git_dir, run_git


def main() -> int:
    options = _options()
    repository = git_dir(options.repo)
    if repository is None:
        print(f"{options.repo}: no git repository")
        return 2
    listed = ["log", "--first-parent", f"-n{options.commits}", "--format=%H", options.head]
    commits = run_git([f"--git-dir={repository}", *listed]).split()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        os.environ["EXHAUSTERS_CACHE"] = str(root / "cache")
        for number, commit in enumerate(reversed(commits), start=1):
            apart_seconds = _seconds(
                lambda commit=commit: _archive(repository, commit, root / "apart" / commit)
            )
            shared_seconds = _seconds(lambda commit=commit: _fetch(repository, commit))
            apart, shared = _megabytes(root / "apart"), _megabytes(root / "cache")
            print(
                f"{number:3} {commit[:9]}  apart {apart:5} MB, {apart_seconds:4.1f} s"
                f"  shared {shared:5} MB, {shared_seconds:4.1f} s",
                flush=True,
            )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repo", type=Path, required=True, help="a clone of SGLang, bare or not")
    parser.add_argument("--head", default="HEAD", help="the newest commit")
    parser.add_argument("--commits", type=int, default=10, help="how many, along first parents")
    return parser.parse_args()


def _seconds(work: object) -> float:
    assert callable(work)
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _archive(repository: Path, commit: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    command = ["git", f"--git-dir={repository}", "archive", "--format=tar", f"{commit}:python"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sender:
        subprocess.run(["tar", "-xf", "-", "-C", folder], stdin=sender.stdout, check=True)


def _fetch(repository: Path, commit: str) -> None:
    from exhausters.targets.fetch import fetch_commit

    fetch_commit(repository, commit)


def _megabytes(folder: Path) -> int:
    done = subprocess.run(["du", "-sm", folder], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


if __name__ == "__main__":
    raise SystemExit(main())
