"""`exhausters compare`: two builds side by side, from decisions to a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from exhausters.cli.options import GRID_HELP, CellsOption, print_dropped_variables
from exhausters.cli.outcomes import print_left_out
from exhausters.console import error_console, errors_shown, output_console
from exhausters.errors import ExhaustersError, UsageError

CLAIMS = ("any", "refactor", "faster", "policy")


def compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="release:X, path:DIR or git:DIR@REV.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The build to be judged.")],
    grid: Annotated[str, typer.Option(help=GRID_HELP)] = "quick",
    cells: CellsOption = None,
    claim: Annotated[str, typer.Option(help=f"What the change is meant to be: {', '.join(CLAIMS)}.")] = "any",
    out: Annotated[Path, typer.Option(help="Folder for records and reports.")] = Path("results/compare"),
    host_time: Annotated[
        bool, typer.Option("--host-time/--no-host-time", help="Take host time in pairs where it can matter.")
    ] = True,
    rounds: Annotated[
        int, typer.Option(min=1, help="Pairs per cell; as many again where that does not decide.")
    ] = 10,
    config: Annotated[Path | None, typer.Option(help="Thresholds and waivers (TOML).")] = None,
) -> None:
    """Compare two builds: decisions, work, reach, host time, verdict; exit 0 nothing worse, 1 worse or a
    trade-off or a false claim, 2 undecided, unreached or broken."""
    from exhausters.cli.compare_reports import REPORTS, undecided_in, write_reports
    from exhausters.compare.folder import comparison_folder, write_header
    from exhausters.compare.stages import CompareOptions, compare_builds
    from exhausters.progress import ShownProgress
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.sweep.grid import load_grid
    from exhausters.targets import prepare

    errors = error_console()
    with errors_shown(errors):
        if claim not in CLAIMS:
            raise UsageError(f"--claim {claim!r}: expected one of {', '.join(CLAIMS)}")
        chosen = load_grid(grid).select(cells or ())
        print_dropped_variables(errors)
        print_left_out(errors, chosen)
        with comparison_folder(out, reports=REPORTS), ShownProgress(errors) as progress:
            header: dict[str, Any] = {
                "base": base,
                "head": head,
                "grid": chosen.name,
                "cells": list(cells or ()),
                "claim": claim,
                "complete": False,
            }
            write_header(out, header)
            targets = _prepared(prepare, base, head, progress)
            options = CompareOptions(host_time=host_time, rounds=rounds)
            with LocalExecutor(workers=2) as executor:
                compared = compare_builds(
                    *targets,
                    chosen,
                    folder=out,
                    executor=executor,
                    undecided=undecided_in,
                    progress=progress,
                    options=options,
                )
            header |= {
                "reach": None if compared.reach is None else str(compared.reach),
                "unreached": [] if compared.reach is None else [str(one) for one in compared.reach.unreached],
                "tried": list(compared.tried),
                "complete": True,
            }
            write_header(out, header)
            progress.say("judging")
            code = write_reports(out, compared, claim=claim, config=config, console=output_console())
    raise typer.Exit(code)


def _prepared(prepare: Any, base: str, head: str, progress: Any) -> tuple[Any, Any]:
    """Both builds, ready to boot; an error says which of them cannot be."""
    found = []
    for side, text in (("base", base), ("head", head)):
        try:
            found.append(prepare(text, on_progress=progress.say))
        except ExhaustersError:
            progress.note(f"broken: {side} cannot be made ready; nothing was compared")
            raise
    return found[0], found[1]
