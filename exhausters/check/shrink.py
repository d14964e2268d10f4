"""Cuts the cell of a finding down, and writes the script that shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exhausters.check.groups import Group
from exhausters.errors import ExhaustersError
from exhausters.oracles import Finding
from exhausters.results_folder import replace_text
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import EVENT_STEPS, CellResult
from exhausters.sweep.run_options import CHECKED, DrainLimits, RunOptions
from exhausters.sweep.workers import Lease
from exhausters.targets import PreparedTarget
from exhausters.why.reduce import Reduction, reduce_while
from exhausters.why.reproducer import SCRIPT_NAME, engine_lines, prompt_helpers, scenario_lines
from exhausters.why.scenario import Scenario
from exhausters.worker.protocol import ScriptRef
from exhausters.workloads import parse_workload

# A smaller workload breaks the promise soon after the whole one does, or it is not what is looked for.
_MORE_STEPS = 64
_LIVENESS = "liveness"

_FILE = '''"""{promise}: {saw}.

Promised: {wants}.

    EXHAUSTERS_TARGET={target} python {file}  # fails
"""

import unittest
{imports}
from exhausters.scripted.judged_steps import expect_kept, judged_steps
from exhausters.scripted.recorded_steps import {helpers}
from exhausters.scripted.test_case import ScriptedTestCase


def script(t):
{body}
{acts}    judgement = yield from judged_steps(t, due, {steps})
    expect_kept(judgement, "{promise}")


class TestPromise(ScriptedTestCase):
    ENGINE_KWARGS = {{
{engine}
    }}

    def test_is_kept(self):
        self.server.execute_script(script)


if __name__ == "__main__":
    unittest.main()
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTrial:
    """A scenario on which the oracle finds the promise broken.

    Attributes:
        scenario: what was run.
        finding: what was found.
        result: the run.
    """

    scenario: Scenario
    finding: Finding
    result: CellResult

    @property
    def step(self) -> int:
        """The step from which on the finding is certain."""
        return self.finding.step

    @property
    def submitted_steps(self) -> Mapping[str, int]:
        """Step at which each request was submitted, by request id."""
        return self.result.facts.submitted_steps if self.result.facts is not None else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """The script of a group of findings.

    Attributes:
        reduction: how the workload was cut down.
        text: the script.
        is_proven: whether the script was run on the target and failed there.
    """

    reduction: Reduction[FoundTrial]
    text: str
    is_proven: bool


def shrink(group: Group, target: PreparedTarget, lease: Lease, file: Path, *, max_runs: int) -> Shrunk | None:
    """Return the smallest script that shows a finding, written to `file`; None when it did not come back.

    Args:
        group: the finding and the run it is of.
        target: the build.
        lease: lends the worker.
        file: where the script is written.
        max_runs: how often the cell may be run.

    Raises:
        ExhaustersError: the build does not boot any more.
        OSError: the script cannot be written.
    """
    cell = group.record.cell
    workload = parse_workload(cell.workload)
    max_steps = group.finding.step + _MORE_STEPS
    options = RunOptions(passes=(CHECKED,), limits=DrainLimits(max_steps=max_steps))

    def probe(scenario: Scenario) -> FoundTrial | None:
        smaller = Cell(workload=cell.workload, levels=scenario.levels, engine=cell.engine)
        host = lease.host(target, cell.engine)
        result: CellResult = host.run(run_cell, smaller, scenario.workload(workload.name), options)
        found = () if result.judgement is None else result.judgement.findings
        for finding in found:
            if (finding.promise, finding.cause) == (group.promise, group.cause):
                return FoundTrial(scenario=scenario, finding=finding, result=result)
        return None

    reduction = reduce_while(
        Scenario.of(workload, cell.levels),
        probe,
        still="still found",
        gone="not found any more, kept",
        max_runs=max_runs,
    )
    if reduction is None:
        return None
    text = script_text(reduction.trial, cell.engine, target=target.name, file=file.name)
    replace_text(file, text)
    return Shrunk(reduction=reduction, text=text, is_proven=_fails(file, cell.engine, target, lease))


def script_text(trial: FoundTrial, engine: EngineSettings, *, target: str, file: str) -> str:
    """Return the script."""
    finding = trial.finding
    settings, imports = engine_lines(engine)
    steps = f"steps={finding.step + 1}"
    if finding.promise == _LIVENESS:
        steps += f", release_before={finding.first_step}"
    acts = _act_lines(trial)
    if acts:
        steps += ", acts=acts"
    return _FILE.format(
        promise=finding.promise,
        saw=finding.saw,
        wants=finding.wants,
        target=target,
        file=file,
        imports=imports,
        helpers=", ".join(
            [*(["drain"] if trial.scenario.warmup else []), *prompt_helpers(trial.scenario, engine.model)]
        ),
        body="\n".join(
            scenario_lines(trial.scenario, trial.submitted_steps, last_step=finding.step, model=engine.model)
        ),
        acts="\n".join(acts) + "\n" if acts else "",
        steps=steps,
        engine="\n".join(settings),
    )


def _act_lines(trial: FoundTrial) -> list[str]:
    """The lines that say what the events of the workload did, up to the finding."""
    by_step: dict[int, list[tuple[str, str]]] = {}
    for step, what, rid in trial.result.provenance.get(EVENT_STEPS, ()):
        if step <= trial.step:
            by_step.setdefault(step, []).append((what, rid))
    if not by_step:
        return []
    shown = [f"        {step}: {json.dumps(acts)}," for step, acts in sorted(by_step.items())]
    return ["    acts = {", *shown, "    }"]


def _fails(file: Path, engine: EngineSettings, target: PreparedTarget, lease: Lease) -> bool:
    path = file.resolve()
    script = ScriptRef(module="__main__", qualname=SCRIPT_NAME, file=str(path), import_root=str(path.parent))
    try:
        lease.host(target, engine).run(script)
    except AssertionError:  # that of the script; anything else is no answer
        return True
    except ExhaustersError:
        return False
    return False
