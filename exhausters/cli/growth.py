"""`exhausters growth`: how the cost of a step grows with context length, queue depth and tree size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exhausters.cli.options import print_dropped_variables
from exhausters.console import error_console, errors_shown, output_console, print_line
from exhausters.extras import require_extra


def growth(
    base: Annotated[str, typer.Argument(metavar="BASE", help="release:X, path:DIR or git:DIR@REV.")],
    head: Annotated[
        str | None, typer.Argument(metavar="[HEAD]", help="The build to be judged; without it BASE is shown.")
    ] = None,
    axis: Annotated[
        list[str] | None, typer.Option("--axis", help="context, queue or tree; repeatable; all by default.")
    ] = None,
    rounds: Annotated[
        int,
        typer.Option(min=0, help="Timed rounds, A B and B A; a verdict needs 10, 0 takes no time."),
    ] = 10,
    tree_core: Annotated[
        str, typer.Option(help="default, python or rust; python to compare a release with a clone.")
    ] = "default",
    out: Annotated[Path, typer.Option(help="Folder for the runs and the answer.")] = Path("results/growth"),
) -> None:
    """How the cost of a step grows with context, queue and tree; exit 0 no faster, 1 faster, 2 undecided."""
    errors = error_console()
    with errors_shown(errors):
        require_extra("reports", what="exhausters growth")
    from exhausters.growth.axes import chosen_axes, engine_settings, points_of
    from exhausters.growth.folder import growth_writer
    from exhausters.growth.measure import GrowthPlan, PointRun, measure_growth
    from exhausters.progress import ShownProgress
    from exhausters.sweep.workers import Workers
    from exhausters.targets import prepare
    from reports.detect.growth import judge_growth
    from reports.detect.growth_answer import growth_answer
    from reports.render.growth import growth_document, print_growth

    console = output_console()
    with errors_shown(errors):
        axes = chosen_axes(axis or ())
        engine = engine_settings(tree_core)
        print_dropped_variables(errors)
        units = {one.name: one.unit for one in axes}
        header = {"base": base, "head": head, "axes": list(units), "rounds": rounds, "tree_core": tree_core}
        with growth_writer(out, header) as writer, ShownProgress(errors) as progress:
            targets = tuple(
                prepare(text, on_progress=progress.say) for text in (base, head) if text is not None
            )
            plan = GrowthPlan(targets=targets, points=points_of(axes), engine=engine, rounds=rounds)
            done = 0

            def keep(run: PointRun) -> None:
                nonlocal done
                writer.add(run)
                done += 1
                progress.step(done, plan.runs)

            with Workers(limit=len(targets)) as workers:
                runs = measure_growth(plan, workers, keep=keep, say=progress.say)
            second = targets[1].name if head is not None else None
            series = judge_growth(runs, base=targets[0].name, head=second, units=units)
            answer = growth_answer(series)
            writer.finish(growth_document(series, answer))
        print_growth(series, answer, units=units, console=console)
        print_line(errors, f"written: {out}")
    raise typer.Exit(answer.exit_code)
