"""`python -m benchmarks.museum`: run the exhibits that were not run yet, and write their table.

What was run is kept in a journal and not run again, unless the exhibit was edited.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.museum.exhibit import COMMITS, choose, load_exhibits
from benchmarks.museum.run import Shown, show
from benchmarks.museum.table import sighting_words, table, write_table
from benchmarks.trust.journal import Journal
from exhausters.console import error_console, errors_shown, output_console, print_line
from exhausters.errors import ExhaustersError
from exhausters.sweep.workers import Workers

# One worker serves all exhibits of one engine; a pair of commits needs two.
_WORKERS = 2


def main(
    repo: Annotated[Path | None, typer.Option(help="A clone of SGLang, for pairs of commits.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the journal.")] = Path("results/museum"),
    document: Annotated[Path | None, typer.Option(help="Where the table goes; else it is printed.")] = None,
    only: Annotated[list[int] | None, typer.Option(help="These pull requests only; repeatable.")] = None,
    again: Annotated[bool, typer.Option(help="Run also what was run before.")] = False,
    verbose: Annotated[bool, typer.Option(help="Say what each run shows.")] = False,
) -> None:
    """Run exhibits; exit 1 if one is missed, 2 if one was not run."""
    console = output_console()
    with errors_shown(error_console()):
        every = load_exhibits()
        journal = Journal(out / "journal.jsonl")
        with Workers(limit=_WORKERS) as workers:
            # Those of one build and engine in a row share a worker.
            wanted = sorted(
                choose(every, only or ()), key=lambda one: (one.form, one.builds, one.cell.engine.label)
            )
            for one in wanted:
                key = f"{one.pr}:{one.digest}"
                if one.form == COMMITS and repo is None:
                    print_line(console, f"{one.pr} left out: a pair of commits, and no --repo")
                    continue
                if again or key not in journal:
                    say = (lambda said: print_line(console, said)) if verbose else (lambda said: None)
                    try:
                        journal.add(key, show(one, workers, repo, say).to_json())
                    except ExhaustersError as error:  # it is counted as not run, and the others go on
                        print_line(console, f"{one.pr} not run: {type(error).__name__}: {error}")
                        continue
                shown = Shown.from_json(dict(journal.get(key) or {}))
                print_line(console, f"{one.pr} {sighting_words(one, shown)}: {shown.sighting.says}")
        results = {
            one.pr: Shown.from_json(dict(kept))
            for one in every
            if (kept := journal.get(f"{one.pr}:{one.digest}")) is not None
        }
        if document is None:
            print_line(console, table(every, results))
        else:
            write_table(document, every, results)
    missing = len(every) - len(results)
    missed = sum(not one.sighting.is_found for one in results.values())
    print_line(console, f"{len(results)} of {len(every)} run, {missed} missed")
    raise typer.Exit(2 if missing else int(missed > 0))


# asv imports every module below its benchmark folder.
if __name__ == "__main__":
    typer.run(main)
