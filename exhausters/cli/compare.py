"""`exhausters compare`: two builds side by side, from decisions to a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from exhausters.cli.options import GRID_HELP, CellsOption, print_dropped_variables
from exhausters.cli.outcomes import print_left_out
from exhausters.console import error_console, errors_shown, output_console
from exhausters.errors import ExhaustersError, UsageError
from exhausters.extras import require_extra
from reports.vocabulary import ANY, CLAIMS

if TYPE_CHECKING:
    from exhausters.compare.stages import Compared
    from exhausters.progress import ShownProgress
    from exhausters.sweep.grid import Grid
    from exhausters.targets import PreparedTarget
    from reports.detect.config import Config

_ROUNDS = 10


def compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="release:X, path:DIR or git:DIR@REV.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The build to be judged.")],
    grid: Annotated[
        str | None,
        typer.Option(help=f"{GRID_HELP} By default cells that execute what changed, chosen by a map."),
    ] = None,
    cells: CellsOption = None,
    claim: Annotated[str, typer.Option(help=f"What the change is meant to be: {', '.join(CLAIMS)}.")] = ANY,
    out: Annotated[Path, typer.Option(help="Folder for records and reports.")] = Path("results/compare"),
    host_time: Annotated[
        bool, typer.Option("--host-time/--no-host-time", help="Take host time in pairs where it can matter.")
    ] = True,
    rounds: Annotated[
        # Two looks must reach the ten pairs that a verdict needs.
        int, typer.Option(min=5, help="Pairs per cell; as many again where that does not decide.")
    ] = _ROUNDS,
    config: Annotated[Path | None, typer.Option(help="Thresholds and waivers (TOML).")] = None,
) -> None:
    """Compare two builds: decisions, work, reach, host time, verdict; exit 0 nothing worse, 1 worse or a
    trade-off or a false claim, 2 undecided, unreached or broken."""
    from reports.cli.options import read_config

    errors = error_console()
    with errors_shown(errors):
        require_extra("reports", what="exhausters compare")
        if claim not in CLAIMS:
            raise UsageError(f"--claim {claim!r}: expected one of {', '.join(CLAIMS)}")
        given = _given(grid, cells)
        print_dropped_variables(errors)
        if given is not None:
            print_left_out(errors, given)
        question = _Question(
            base=base,
            head=head,
            grid=given,
            patterns=tuple(cells or ()),
            claim=claim,
            out=out,
            host_time=host_time,
            rounds=rounds,
            # Read before anything runs: a mistake in it costs no run.
            config=read_config(config),
            options=_given_options(
                grid=grid, cells=cells or (), claim=claim, host_time=host_time, rounds=rounds, config=config
            ),
        )
        code = _answer(question, errors)
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What was asked for: `grid` None where the cells are to be chosen, `options` as they were given."""

    base: str
    head: str
    grid: Grid | None
    patterns: tuple[str, ...]
    claim: str
    out: Path
    host_time: bool
    rounds: int
    config: Config
    options: tuple[str, ...]

    def header(self) -> dict[str, Any]:
        """What `compare.json` says before anything is known."""
        return {
            "base": self.base,
            "head": self.head,
            "grid": None if self.grid is None else self.grid.name,
            "cells": list(self.patterns),
            "claim": self.claim,
            "options": list(self.options),
            "complete": False,
        }


def _answer(question: _Question, errors: Console) -> int:
    """Run all stages, write the reports, print the verdict; return the exit code."""
    from exhausters.cli.compare_reports import REPORTS, undecided_in, write_reports
    from exhausters.compare.choose import Choice, choose_cells
    from exhausters.compare.folder import comparison_folder, write_header
    from exhausters.compare.reaching import ReachOptions
    from exhausters.compare.sources import sources_of
    from exhausters.compare.stages import CompareOptions, compare_builds
    from exhausters.progress import ShownProgress
    from exhausters.sweep.execute import LocalExecutor

    out, header = question.out, question.header()
    with comparison_folder(out, reports=REPORTS), ShownProgress(errors) as progress:
        write_header(out, header)
        targets = _prepared(question.base, question.head, progress)
        sources = sources_of(*targets)
        if question.grid is not None:
            choice = Choice(grid=question.grid, sentence="", is_by_map=False)
        else:
            choice = choose_cells(sources)
            progress.note(f"cells: {choice.sentence}")
            header |= {"grid": choice.grid.name, "chosen": choice.sentence}
            write_header(out, header)
        options = CompareOptions(
            host_time=question.host_time,
            rounds=question.rounds,
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
        write_header(out, header | _found(compared))
        progress.say("judging")
        judged = write_reports(
            out,
            compared,
            chosen=choice.sentence,
            claim=question.claim,
            settings=question.config,
            options=question.options,
            console=output_console(),
        )
        write_header(out, header | _found(compared) | {"broken_in": judged.broken_in, "complete": True})
        return judged.decision.exit_code


def _found(compared: Compared) -> dict[str, Any]:
    """What `compare.json` says of reach."""
    return {
        "reach": None if compared.reach is None else str(compared.reach),
        "unreached": [] if compared.reach is None else [str(one) for one in compared.reach.unreached],
        "tried": list(compared.tried),
    }


def _given_options(
    *, grid: str | None, cells: Sequence[str], claim: str, host_time: bool, rounds: int, config: Path | None
) -> tuple[str, ...]:
    """The options that make the question, as they are typed; what is left at its default is left out."""
    pairs = [
        ("--grid", grid),
        *(("--cells", pattern) for pattern in cells),
        ("--claim", claim if claim != ANY else None),
        ("--config", None if config is None else str(config)),
        ("--rounds", str(rounds) if rounds != _ROUNDS else None),
    ]
    words = [word for name, value in pairs if value is not None for word in (name, value)]
    return (*words, *(() if host_time else ("--no-host-time",)))


def _given(grid: str | None, cells: list[str] | None) -> Grid | None:
    """The cells that were asked for; None where they are to be chosen. Patterns alone choose from `quick`."""
    from exhausters.compare.choose import FALLBACK
    from exhausters.sweep.grid import load_grid

    if grid is None and not cells:
        return None
    return load_grid(grid or FALLBACK).select(cells or ())


def _prepared(base: str, head: str, progress: ShownProgress) -> tuple[PreparedTarget, PreparedTarget]:
    """Both builds, ready to boot; an error says which of them cannot be."""
    from exhausters.targets import prepare

    found = []
    for side, text in (("base", base), ("head", head)):
        try:
            found.append(prepare(text, on_progress=progress.say))
        except ExhaustersError:
            progress.note(f"broken: {side} cannot be made ready; nothing was compared")
            raise
    return found[0], found[1]
