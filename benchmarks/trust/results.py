"""Reads what the parts have left on disk, and makes the tables of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.trust.answers import answered, compare_folder
from benchmarks.trust.calibrate import Calibration
from benchmarks.trust.compare_plants import is_done, reach_in
from benchmarks.trust.journal import Journal
from benchmarks.trust.other_tools import asv_says, pytest_benchmark_says, samples_of
from benchmarks.trust.plants import Plant
from benchmarks.trust.tables import PlantResult, against_itself_table, plants_table, power_table
from exhausters.compare.folder import PAIRS
from exhausters.sweep.grid import Grid
from reports.load.load_results import load_results


def tables_of(out: Path, plants: Sequence[Plant], grid: Grid, target: str, seed: int) -> str:
    """Return all tables as Markdown; a part that is not complete says so."""
    done = [one for one in plants if is_done(one, out / "plants" / one.name, grid)]
    itself = Journal(out / "against_itself.jsonl").values()
    power = Journal(out / "power.jsonl").values()
    parts = [
        f"`{target}`, seed {seed}, {len(grid.cells)} cells.{_calibrated(out / 'calibration.json')}",
        "## Planted changes",
        _not_all(len(done), len(plants), "plants"),
        plants_table([judge_plant(one, out / "plants" / one.name) for one in done]) if done else "",
        "## A release against itself",
        against_itself_table(itself) if itself else "Not run.",
        "## How small a change of CPU time is found",
        power_table(power) if power else "Not run.",
    ]
    return "\n\n".join(filter(None, parts))


def judge_plant(plant: Plant, place: Path) -> PlantResult:
    """Judge the records of a plant in both directions, by the rules of this harness and of two others."""
    reach = reach_in(place)
    both = [compare_folder(place, swapped=swapped, reach=reach) for swapped in (False, True)]
    forward, backward = map(answered, both)
    if not (place / PAIRS).exists():
        return PlantResult(plant=plant, forward=forward, backward=backward)
    frame = load_results([place / PAIRS]).frame
    base, head = (frame[frame["target"] == name] for name in (both[0].base, both[0].head))
    samples = (samples_of(base, head), samples_of(head, base))
    asv, mean = ((says(samples[0]), says(samples[1])) for says in (asv_says, pytest_benchmark_says))
    return PlantResult(plant=plant, forward=forward, backward=backward, asv=asv, pytest_benchmark=mean)


def _calibrated(path: Path) -> str:
    if not path.exists():
        return ""
    found = Calibration(**json.loads(path.read_text()))
    return (
        f" A step makes {found.calls_per_step:,.0f} Python calls and takes {found.cpu_us_per_step:,.0f} "
        "microseconds of CPU time (medians over the cells, on the machine that made these tables)."
    )


def _not_all(done: int, count: int, noun: str) -> str:
    return "" if done == count else f"**Not complete: {done} of {count} {noun}.**"
