"""Everything that can be said about why two builds differ in one cell, in one call."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from exhausters.errors import ExhaustersError
from exhausters.observe.decision_log import DecisionLog, first_divergence
from exhausters.observe.divergence_sentence import divergence_sentence
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import CellResult
from exhausters.sweep.run_options import DECIDE, DrainLimits, RunOptions
from exhausters.sweep.workers import Workers
from exhausters.targets import PreparedTarget
from exhausters.why.differential import DifferentialProfile, compare_profiles
from exhausters.why.exports import write_exports
from exhausters.why.profile import CellProfile, profile_cell
from exhausters.why.reduce import MAX_RUNS, Reduction, Trial, reduce_scenario
from exhausters.why.reproducer import FILE_NAME, SCRIPT_NAME, reproducer_text, trial_sentence
from exhausters.why.scenario import Scenario
from exhausters.why.sides import Sides
from exhausters.worker.protocol import ScriptRef
from exhausters.workloads import Workload, parse_workload

_WORKERS = 2  # one per build
# A smaller workload differs soon after the whole one does, or it is not what is looked for.
_MORE_STEPS = 64

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproducer:
    """A test that tells both builds apart.

    Attributes:
        text: the file, which runs as it is.
        sentence: the first divergence of the smallest workload, in words.
        reduction: how the workload was cut down.
        base_passes, head_fails: what running its script on both builds has shown.
    """

    text: str
    sentence: str
    reduction: Reduction[Trial]
    base_passes: bool
    head_fails: bool

    @property
    def is_proven(self) -> bool:
        """Whether it passes on base and fails on head."""
        return self.base_passes and self.head_fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why two builds differ in one cell.

    Attributes:
        cell: the cell.
        base, head: names of the targets.
        sentence: the first divergence in words; None when all decisions are equal.
        profile: what each function costs on both builds; None when a build could not run the cell.
        reproducer: None when all decisions are equal, or no workload could be found.
        notes: what could not be done, and why.
        files: what was written.
    """

    cell: Cell
    base: str
    head: str
    sentence: str | None
    profile: DifferentialProfile | None
    reproducer: Reproducer | None
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def explain_difference(
    base: PreparedTarget,
    head: PreparedTarget,
    cell: Cell,
    out: Path | None = None,
    *,
    workers: Workers | None = None,
    max_runs: int = MAX_RUNS,
    say: Say = lambda text: None,
) -> Explanation:
    """Run one cell on both builds and say why they differ.

    Args:
        base, head: the builds.
        cell: the cell.
        out: folder for the exports and the reproducer; created. None writes nothing.
        workers: owner of booted workers to borrow from; by default two are booted and closed.
        max_runs: how often the cell may be run on both builds to find the smallest workload.
        say: is told what is being done.

    Raises:
        UsageError: base and head are one build.
        ExhaustersError: a build does not boot, or the cell's workload cannot be built.
    """
    workload = parse_workload(cell.workload)
    owner = workers or Workers(limit=_WORKERS)
    try:
        with Sides(owner, base, head) as sides:
            return _Explaining(sides, cell, workload, out, say).explanation(max_runs)
    finally:
        if workers is None:
            owner.close()


def first_differing_cell(sides: Sides, cells: Sequence[Cell], say: Say = lambda text: None) -> Cell | None:
    """Return the first cell in which the builds decide differently, if any."""
    for cell in cells:
        say(f"running {cell.id}")
        results = sides.run(cell.engine, run_cell, cell, parse_workload(cell.workload), _OPTIONS)
        if results[0].log.digest != results[1].log.digest:
            return cell
    return None


_OPTIONS = RunOptions(passes=(DECIDE,))


class _Explaining:
    """One cell on two builds, while it is explained."""

    def __init__(self, sides: Sides, cell: Cell, workload: Workload, out: Path | None, say: Say) -> None:
        self._sides, self._cell, self._workload = sides, cell, workload
        self._out, self._say = out, say
        self._notes: list[str] = []
        self._files: list[Path] = []

    def explanation(self, max_runs: int) -> Explanation:
        if self._out is not None:
            self._out.mkdir(parents=True, exist_ok=True)
        self._say(f"profiling {self._cell.id} on both builds")
        logs, profile = self._profile()
        divergence = first_divergence(*logs, context=0)
        reproducer = None
        if divergence is not None:
            reproducer = self._reproducer(divergence.step, max_runs)
        return Explanation(
            cell=self._cell,
            base=self._sides.base.name,
            head=self._sides.head.name,
            sentence=None
            if divergence is None
            else divergence_sentence(*(next(iter(one), None) for one in (divergence.base, divergence.head))),
            profile=profile,
            reproducer=reproducer,
            notes=tuple(self._notes),
            files=tuple(self._files),
        )

    def _profile(self) -> tuple[tuple[DecisionLog, DecisionLog], DifferentialProfile | None]:
        """Both logs and the differential profile; a build that fails in the middle has its log at least."""
        try:
            base, head = self._sides.run(
                self._cell.engine, profile_cell, self._cell, self._workload, _OPTIONS
            )
        except ExhaustersError as error:
            self._notes.append(f"no profile: {type(error).__name__}: {_first_line(error)}")
            results = self._run(Scenario.of(self._workload, self._cell.levels), _OPTIONS)
            return (results[0].log, results[1].log), None
        for side, target, profile in (("base", self._sides.base, base), ("head", self._sides.head, head)):
            self._export(side, target, profile)
        return (base.log, head.log), compare_profiles(base, head)

    def _export(self, side: str, target: PreparedTarget, profile: CellProfile) -> None:
        if self._out is not None:
            title = f"{target.name} {self._cell.id}"
            self._files += write_exports(self._out, side, profile, title=title)

    def _run(self, scenario: Scenario, options: RunOptions) -> tuple[CellResult, CellResult]:
        cell = self._cell_of(scenario)
        workload = scenario.workload(self._workload.name)
        base, head = self._sides.run(cell.engine, run_cell, cell, workload, options)
        return base, head

    def _cell_of(self, scenario: Scenario) -> Cell:
        return Cell(workload=self._cell.workload, levels=scenario.levels, engine=self._cell.engine)

    def _reproducer(self, step: int, max_runs: int) -> Reproducer | None:
        self._say("cutting the workload down")
        limits = DrainLimits(max_steps=step + _MORE_STEPS)
        options = RunOptions(passes=(DECIDE,), limits=limits)
        reduction = reduce_scenario(
            Scenario.of(self._workload, self._cell.levels),
            lambda scenario: self._run(scenario, options),
            max_runs=max_runs,
        )
        if reduction is None:
            self._notes.append("no reproducer: the difference did not come back when the cell was run again")
            return None
        text = reproducer_text(
            reduction.trial, self._cell, base=self._sides.base.name, head=self._sides.head.name
        )
        passes, fails = self._proven(text)
        if not (passes and fails):
            self._notes.append(
                f"the reproducer {'passes' if passes else 'fails'} on base and "
                f"{'fails' if fails else 'passes'} on head, so it is none: prompts are simpler in it"
            )
        return Reproducer(
            text=text,
            sentence=trial_sentence(reduction.trial),
            reduction=reduction,
            base_passes=passes,
            head_fails=fails,
        )

    def _proven(self, text: str) -> tuple[bool, bool]:
        """Write the reproducer, run its script on both builds: whether it passes on base, fails on head."""
        with tempfile.TemporaryDirectory(prefix="exhausters-") as scratch:
            folder = self._out or Path(scratch)
            file = (folder / FILE_NAME).resolve()
            file.write_text(text)
            if self._out is not None:
                self._files.append(folder / FILE_NAME)
            ref = ScriptRef(
                module="__main__", qualname=SCRIPT_NAME, file=str(file), import_root=str(file.parent)
            )
            ours, theirs = self._sides.start(self._cell.engine, ref)
            return _passes(ours), not _passes(theirs)


def _passes(result: Callable[[], object]) -> bool:
    try:
        result()
    except AssertionError:  # that of the script; anything else is no answer
        return False
    return True


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
