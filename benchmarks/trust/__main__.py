"""`python -m benchmarks.trust`: run what is missing, and write the tables of docs/trust.md.

python -m benchmarks.trust [--target release:0.5.23] [--aa 50] [--out results/trust] [--seed 1]
    [--only plants|itself|power|tables] [--plant NAME ...] [--document docs/trust.md]
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from benchmarks.trust.against_itself import compare_with_itself
from benchmarks.trust.calibrate import calibrate
from benchmarks.trust.compare_plants import compare_plants
from benchmarks.trust.marked_text import write_between
from benchmarks.trust.plants import choose, load_plants, trust_grid
from benchmarks.trust.power import measure_power
from benchmarks.trust.results import tables_of
from benchmarks.trust.tables import BEGIN, END
from benchmarks.trust.trees import tree_of
from exhausters.compare.chosen_cells import covering_cells
from exhausters.console import error_console, errors_shown
from exhausters.progress import ShownProgress
from exhausters.targets import prepare

PLANTS, ITSELF, POWER, TABLES = "plants", "itself", "power", "tables"


def main(arguments: list[str]) -> None:
    """Run the parts that are wanted; each goes on where an earlier command stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust", description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="release:0.5.23")
    parser.add_argument("--aa", type=int, default=50, help="comparisons of the release with itself")
    parser.add_argument("--out", type=Path, default=Path("results/trust"))
    parser.add_argument("--seed", type=int, default=1, help="of the workloads, and of the order of loads")
    parser.add_argument("--only", choices=(PLANTS, ITSELF, POWER, TABLES), action="append")
    parser.add_argument("--plant", action="append", default=[], help="only these plants")
    parser.add_argument(
        "--document", type=Path, default=None, help="where the tables go; else they are printed"
    )
    given = parser.parse_args(arguments)
    wanted = given.only or [PLANTS, ITSELF, POWER, TABLES]
    with errors_shown():
        if set(wanted) - {TABLES}:
            _run(given, wanted)
        if TABLES in wanted:
            tables = tables_of(given.out, load_plants(), trust_grid(given.seed), given.target, given.seed)
            if given.document is None:
                print(tables)
            else:
                write_between(given.document, BEGIN, END, tables)


def _run(given: argparse.Namespace, wanted: list[str]) -> None:
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    console, grid = error_console(), trust_grid(given.seed)
    few = [cell for cell in covering_cells(grid.cells) if not cell.workload.startswith("agents")]
    with ExitStack() as stack:
        log = stack.enter_context((out / "stages.log").open("a"))
        progress = stack.enter_context(ShownProgress(Console(file=log, width=200)))

        def say(what: str) -> None:
            console.print(what, markup=False, highlight=False, soft_wrap=True)

        release = prepare(given.target, on_progress=say)
        # Two plants at a time, on a core each.
        trees = [stack.enter_context(tree_of(release, f"planted-{number}")) for number in range(2)]
        tree = trees[0]
        if PLANTS in wanted:
            compare_plants(
                choose(load_plants(), given.plant),
                release=release,
                trees=trees,
                grid=grid,
                values=calibrate(release, grid.cells, keep=out / "calibration.json").values(),
                folder=out / "plants",
                progress=progress,
                say=say,
            )
        if ITSELF in wanted:
            # The same files in another folder: another build by its name, and by nothing else.
            compare_with_itself(
                given.aa,
                given.seed,
                release=release,
                copy=prepare(f"path:{tree.folder}"),
                cells=few[-1:] + few[1:2],
                folder=out,
                progress=progress,
                say=say,
            )
        if POWER in wanted:
            measure_power(
                release=release,
                tree=tree,
                cells=few[:2],
                values=calibrate(release, few[:2], keep=out / "calibration_power.json").values(),
                folder=out,
                progress=progress,
                say=say,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
