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
    grid: Annotated[
        str | None,
        typer.Option(help=f"{GRID_HELP} By default cells that execute what changed, chosen by a map."),
    ] = None,
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
    from exhausters.compare.choose import Choice, choose_cells
    from exhausters.compare.folder import comparison_folder, write_header
    from exhausters.compare.reaching import ReachOptions
    from exhausters.compare.sources import sources_of
    from exhausters.compare.stages import CompareOptions, compare_builds
    from exhausters.progress import ShownProgress
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.targets import prepare

    errors = error_console()
    with errors_shown(errors):
        if claim not in CLAIMS:
            raise UsageError(f"--claim {claim!r}: expected one of {', '.join(CLAIMS)}")
        given = _given(grid, cells)
        print_dropped_variables(errors)
        if given is not None:
            print_left_out(errors, given)
        with comparison_folder(out, reports=REPORTS), ShownProgress(errors) as progress:
            header: dict[str, Any] = {
                "base": base,
                "head": head,
                "grid": None if given is None else given.name,
                "cells": list(cells or ()),
                "claim": claim,
                "complete": False,
            }
            write_header(out, header)
            targets = _prepared(prepare, base, head, progress)
            sources = sources_of(*targets)
            choice = (
                Choice(grid=given, sentence="", is_by_map=False)
                if given is not None
                else choose_cells(sources)
            )
            if choice.sentence:
                progress.note(f"cells: {choice.sentence}")
                header |= {"grid": choice.grid.name, "chosen": choice.sentence}
                write_header(out, header)
            options = CompareOptions(
                host_time=host_time,
                rounds=rounds,
                reach=ReachOptions(runs_every_cell=choice.is_by_map),
            )
            with LocalExecutor(workers=2, on_boot=progress.note) as executor:
                compared = compare_builds(
                    *targets,
                    choice.grid,
                    sources=sources,
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
            code = write_reports(
                out,
                compared,
                chosen=choice.sentence,
                claim=claim,
                config=config,
                console=output_console(),
            )
    raise typer.Exit(code)


def _given(grid: str | None, cells: list[str] | None) -> Any:
    """The cells that were asked for; None where they are to be chosen. Patterns alone choose from `quick`."""
    from exhausters.compare.choose import FALLBACK
    from exhausters.sweep.grid import load_grid

    if grid is None and not cells:
        return None
    return load_grid(grid or FALLBACK).select(cells or ())


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
