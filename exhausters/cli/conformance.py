"""`exhausters conformance`: SGLang's own scripted tests as a test of this harness."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path
from typing import Annotated

import typer

from exhausters.console import error_console, errors_shown, output_console, print_line


def conformance(
    checkout: Annotated[Path, typer.Argument(metavar="DIR", help="A checkout of SGLang, with its tests.")],
    target: Annotated[
        str | None, typer.Option(help="Run its tests on another SGLang (default: path:DIR).")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PATTERN", help="Only files whose name matches; repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for conformance.json, with all tracebacks.")] = Path(
        "results/conformance"
    ),
    document: Annotated[
        Path | None, typer.Option(help="Write the tables into this document, between its marks.")
    ] = None,
) -> None:
    """Run SGLang's own scripted tests, unmodified; exit 0 all applicable pass, 1 one fails, 2 none is."""
    from exhausters.conformance.discover import TestFile, discover, source_dir
    from exhausters.conformance.outcome import TestOutcome, exit_code
    from exhausters.conformance.report import (
        around_tables,
        failure_lines,
        files_view,
        reason_lines,
        summary_line,
        to_json,
        write_document,
    )
    from exhausters.conformance.run import run_file
    from exhausters.conformance.server import Bench
    from exhausters.errors import UsageError
    from exhausters.progress import ShownProgress
    from exhausters.results_folder import answer_folder, write_answer
    from exhausters.targets import prepare

    console, errors = output_console(), error_console()
    with errors_shown(errors):
        if document is not None and only:
            raise UsageError("--document with --only: its tables are those of all files; leave one out")
        if document is not None:
            around_tables(document)  # before minutes of work
        checkout = checkout.resolve()
        files = [file for file in discover(checkout) if _matches(file.name, only)]
        if not files:
            raise UsageError(f"--only {' '.join(only or ())}: no test file of {checkout} has such a name")
        outcomes: list[TestOutcome] = []

        def run(file: TestFile, bench: Bench, progress: ShownProgress) -> None:
            progress.say(file.name)
            for outcome in run_file(file, bench):
                outcomes.append(outcome)
                progress.step(len(outcomes), total)

        total = sum(len(file.tests) for file in files)
        with answer_folder(out, holds="conformance"):
            with ShownProgress(errors, total=total) as progress:
                prepared = prepare(target or f"path:{checkout}", on_progress=progress.say)
                with Bench(prepared, source_dir=source_dir(checkout)) as bench:
                    for file in files:
                        run(file, bench, progress)
            console.print(files_view(outcomes, title=f"SGLang's scripted tests on {prepared.name}"))
            for line in (*failure_lines(outcomes), *reason_lines(outcomes), summary_line(outcomes)):
                print_line(console, line)
            found = {"conformance.json": json.dumps(to_json(prepared, outcomes), indent=1) + "\n"}
            write_answer(out, found, show=lambda text: print_line(console, text))
            if document is not None:
                write_document(document, prepared, outcomes)
    raise typer.Exit(exit_code(outcomes))


def _matches(name: str, patterns: list[str] | None) -> bool:
    return not patterns or any(fnmatch.fnmatch(name, f"*{pattern}*") for pattern in patterns)
