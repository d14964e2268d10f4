"""`python -m benchmarks.real_commits`: compare each commit of the list with its parent, and write the table.

A comparison that is there already is not made again; `--out` keeps all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.real_commits.commits import RUN_NAME, Commit, read_compared, read_list
from benchmarks.real_commits.table import agrees, write_table
from exhausters.console import error_console, errors_shown, output_console, print_line
from exhausters.errors import UsageError


def main(
    repo: Annotated[Path, typer.Option(help="A clone of SGLang's repository, bare or not.")],
    out: Annotated[Path, typer.Option(help="Folder of the comparisons.")] = Path("results/real_commits"),
    document: Annotated[Path, typer.Option(help="Where the table goes.")] = Path("docs/real_commits.md"),
    only: Annotated[list[str] | None, typer.Option(help="These commits only; repeatable.")] = None,
) -> None:
    """Compare real commits with their parents; exit 1 if an answer does not agree with its title."""
    console = output_console()
    with errors_shown(error_console()):
        commits = read_list()
        unknown = set(only or ()) - {one.id for one in commits}
        if unknown:
            raise UsageError(f"--only {sorted(unknown)[0]}: not in the list of commits")
        for place, one in enumerate(commits, start=1):
            if only and one.id not in only:
                continue
            if read_compared(out / one.id) is None:
                _compare(one, repo, out / one.id)
            found = read_compared(out / one.id)
            if found is not None:
                word = "agrees" if agrees(one, found) else "DOES NOT AGREE"
                print_line(console, f"{place}/{len(commits)} {one.id} {word}: {found.sentence}")
        compared = {one.id: found for one in commits if (found := read_compared(out / one.id)) is not None}
        write_table(document, commits, compared)
    missing = len(commits) - len(compared)
    wrong = sum(not agrees(one, compared[one.id]) for one in commits if one.id in compared)
    print_line(console, f"{len(compared)} of {len(commits)} compared, {wrong} do not agree")
    raise typer.Exit(2 if missing else int(wrong > 0))


def _compare(commit: Commit, repo: Path, folder: Path) -> None:
    """Run `exhausters compare` as a user does, with no option but where to write."""
    builds = [f"git:{repo}@{commit.id}~1", f"git:{repo}@{commit.id}"]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "exhausters.cli", "compare", *builds, "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    folder.mkdir(parents=True, exist_ok=True)
    lines = done.stdout.strip().splitlines() or [""]
    (folder / "output.txt").write_text(done.stdout)
    run = {"seconds": time.monotonic() - started, "exit_code": done.returncode, "last_line": lines[-1]}
    (folder / RUN_NAME).write_text(json.dumps(run, indent=1) + "\n")


# asv imports every module below its benchmark folder.
if __name__ == "__main__":
    typer.run(main)
