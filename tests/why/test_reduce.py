"""Cutting a workload down, on two fake builds of which head leaves long requests waiting."""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from exhausters.errors import ScriptFailedError
from exhausters.pressure.levels import PressureLevels
from exhausters.scripted.recorded_steps import said
from exhausters.why.reduce import BATCH_FIELDS, Reduction, Trial, first_difference, reduce_scenario
from exhausters.why.reproducer import prompt_helpers, reproducer_text, scenario_lines
from exhausters.why.scenario import Scenario
from exhausters.workloads import CanaryText, parse_workload
from tests.fakes.fake_engine import ScriptRunner
from tests.why.sides import SCAN, SHY, a_cell, a_workload, changed, run_both

_NUMBERS = itertools.count()


def _start(**levels: int) -> Scenario:
    return Scenario.of(a_workload(), PressureLevels(**levels))


def _reduced(start: Scenario, **limits: int) -> Reduction[Trial]:
    found = reduce_scenario(start, run_both("_admit", SHY), **limits)
    assert found is not None
    return found


def test_the_smallest_workload_is_minimal() -> None:
    """Without any one of the requests that are left, both builds decide the same."""
    found = _reduced(_start(leave_pages=100))
    scenario = found.trial.scenario
    assert found.is_minimal
    assert len(scenario.requests) == 2  # one that runs, and a long one
    assert scenario.warmup == ()
    assert scenario.levels == PressureLevels()
    for gone in scenario.requests:
        left = tuple(one for one in scenario.requests if one is not gone)
        base, head = run_both("_admit", SHY)(replace(scenario, requests=left))
        assert first_difference(base.log, head.log, BATCH_FIELDS) is None


def test_prompts_and_outputs_are_shortened() -> None:
    """What is left is as short as halving can make it: here the long prompt must stay above 200 tokens."""
    scenario = _reduced(_start()).trial.scenario
    lengths = sorted(one.prompt_tokens for one in scenario.requests)
    assert lengths[0] == 1
    assert 200 < lengths[1] <= 240


def test_the_number_of_runs_is_bounded() -> None:
    """After the last run that is allowed, the best workload until then is returned, as not minimal."""
    found = _reduced(_start(), max_runs=12)
    assert (found.runs, found.is_minimal) == (12, False)
    assert len(found.trial.scenario.requests) < len(a_workload().requests)
    assert "stopped after 12 runs" in found.tried[-1]


def test_no_difference_is_no_reduction() -> None:
    """A build that only loops longer decides the same: there is nothing to reproduce."""
    assert reduce_scenario(_start(), run_both("form_batch", SCAN)) is None


def _module(text: str, folder: Path) -> ModuleType:
    name = f"reproducer_{next(_NUMBERS)}"
    (folder / f"{name}.py").write_text(text)
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("levels", [{}, {"leave_pages": 40}])
def test_the_reproducer_passes_on_base_and_fails_on_head(levels: dict[str, int], tmp_path: Path) -> None:
    """The file runs as it is, and only head breaks its expectation, at the step that it names."""
    trial = _reduced(_start(**levels)).trial
    text = reproducer_text(trial, a_cell(), base="path:base", head="path:head")
    assert "EXHAUSTERS_TARGET=path:base python test_reproducer.py  # passes" in text
    script = _module(text, tmp_path).script
    ScriptRunner().run(script)
    with changed("_admit", SHY), pytest.raises(ScriptFailedError, match=rf"step {trial.step}: expected"):
        ScriptRunner().run(script)


def test_a_whole_workload_is_reproduced_too(tmp_path: Path) -> None:
    """Warm-up, levels and requests that come later are written down, where nothing could be left out."""
    trial = _reduced(_start(leave_pages=100), max_runs=1).trial
    text = reproducer_text(trial, a_cell(), base="path:base", head="path:head")
    assert "drain(t, warm)" in text
    assert "t.exhaust(leave_pages=100)" in text
    script = _module(text, tmp_path).script
    ScriptRunner().run(script)
    with changed("_admit", SHY), pytest.raises(ScriptFailedError):
        ScriptRunner().run(script)


def test_outputs_in_prompts_are_those_of_the_canary() -> None:
    """A script for a canary repeats in each turn what the model said before; for others, its one token."""
    requests = parse_workload("agents:conversations=1,turns=2").requests
    scenario = Scenario(warmup=(), requests=requests, levels=PressureLevels())
    spoken = requests[0].max_new_tokens
    for model, helpers in (("canary", ["request", "said"]), ("dense", ["request"])):
        assert prompt_helpers(scenario, model) == helpers
        lines = list(scenario_lines(scenario, {one.rid: 0 for one in requests}, last_step=0, model=model))
        before, after = (
            re.sub(r'.*request\("[\w-]+", (.*), max_new_tokens.*', r"\1", line)
            for line in lines
            if "request(" in line
        )
        said_before = f"said({before}, {spoken})" if "said" in helpers else f"{before} + [5] * {spoken}"
        assert after.startswith(f"{said_before} + [")
    assert said([1, 2, 3], 2) == [1, 2, 3, *CanaryText().after([1, 2, 3], 2)]
