"""Writes a scenario as a test of a few lines that passes on base and fails on head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from exhausters.engine.settings import CANARIES
from exhausters.observe.divergence_sentence import divergence_sentence
from exhausters.observe.step_record import IDLE, StepRecord
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.why.reduce import Trial
from exhausters.why.scenario import Scenario
from exhausters.workloads import Request

FILE_NAME = "test_reproducer.py"
# The function in it that a worker can run.
SCRIPT_NAME = "script"
# Steps before the diverging one whose batches are shown.
_STEPS_BEFORE = 5
_EMITTED_TOKEN = 5  # that of `HostSettings`, with which the file boots
# Prompts repeat a token per segment, from here on: far from the one that the null model emits.
_FIRST_TOKEN = 101

_FILE = '''"""{title}

{sentence}.

    EXHAUSTERS_TARGET={base} python {file}  # passes
    EXHAUSTERS_TARGET={head} python {file}  # fails

where python is that of the environment that has exhausters (`.venv/bin/python` of a clone).
"""

import unittest
{imports}
from exhausters.scripted.recorded_steps import {helpers}
from exhausters.scripted.test_case import ScriptedTestCase

# What {base} decides: by step, the mode, the requests and the computed tokens of its batch.
EXPECTED = {{
{expected}
}}


def script(t):
{body}
    steps = yield from recorded_steps(t, due, steps={steps})
    expect_steps(steps, EXPECTED)


class TestReproducer(ScriptedTestCase):
    ENGINE_KWARGS = {{
{engine}
    }}

    def test_decides_as_before(self):
        self.server.execute_script(script)


if __name__ == "__main__":
    unittest.main()
'''


def reproducer_text(trial: Trial, cell: Cell, *, base: str, head: str) -> str:
    """Return the test.

    Args:
        trial: what differs, with the results of both builds.
        cell: the cell that it was cut from: its engine settings.
        base, head: names of the targets.
    """
    helpers = ["expect_steps", "recorded_steps", *prompt_helpers(trial.scenario, cell.engine.model)]
    if trial.scenario.warmup:
        helpers = ["drain", *helpers]
    settings, imports = engine_lines(cell.engine)
    return _FILE.format(
        title=f"{cell.workload.partition(':')[0]}: the smallest workload found on which the builds differ.",
        sentence=trial_sentence(trial),
        base=base,
        head=head,
        file=FILE_NAME,
        imports=imports,
        helpers=", ".join(helpers),
        expected="\n".join(_expected(trial)),
        body="\n".join(
            scenario_lines(
                trial.scenario, trial.submitted_steps, last_step=trial.step, model=cell.engine.model
            )
        ),
        steps=trial.step + 1,
        engine="\n".join(settings),
    )


def scenario_lines(
    scenario: Scenario, submitted_steps: Mapping[str, int], *, last_step: int, model: str
) -> Iterator[str]:
    """Yield the lines of a script that warm up, take, and say in `due` which requests come before which step.

    Requests that were submitted after `last_step` are left out. Outputs in prompts are those of `model`.
    """
    tokens, levels = PromptTokens(has_text=model in CANARIES), scenario.levels
    if scenario.warmup:
        yield from ("    warm = [", *_requests(scenario.warmup, tokens, indent=8), "    ]")
        yield "    yield from drain(t, warm)"
    if levels.given():
        given = [f"{name}={value}" for name, value in levels.given().items()]
        yield f"    t.exhaust({', '.join([*given, *(['held=True'] if levels.held else [])])})"
    by_step: dict[int, list[Request]] = {}
    for one in scenario.requests:
        if one.rid in submitted_steps and submitted_steps[one.rid] <= last_step:
            by_step.setdefault(submitted_steps[one.rid], []).append(one)
    yield "    due = {"
    for step, requests in sorted(by_step.items()):
        yield f"        {step}: ["
        yield from _requests(requests, tokens, indent=12)
        yield "        ],"
    yield "    }"


def prompt_helpers(scenario: Scenario, model: str) -> list[str]:
    """Return the helpers that the prompts of `scenario_lines` call, by name."""
    every = (*scenario.warmup, *scenario.requests)
    says = model in CANARIES and any(part.seed is None for one in every for part in one.prompt)
    return ["request", "said"] if says else ["request"]


def trial_sentence(trial: Trial) -> str:
    """Return the first divergence of a trial in words."""
    ours, theirs = (_step(one.log.steps, trial.step) for one in (trial.base, trial.head))
    return divergence_sentence(ours, theirs)


def _step(steps: Sequence[StepRecord], number: int) -> StepRecord | None:
    return steps[number] if number < len(steps) else None


def _expected(trial: Trial) -> Iterator[str]:
    for number in range(max(0, trial.step - _STEPS_BEFORE), trial.step):
        yield f"    {number}: {literal(_batch(trial.base.log.steps[number]))},"
    # Where a log has ended the engine is idle.
    ours, theirs = (
        _step(one.log.steps, trial.step) or StepRecord(step=trial.step, mode=IDLE)
        for one in (trial.base, trial.head)
    )
    if _batch(ours) != _batch(theirs):
        yield f"    {trial.step}: {literal(_batch(ours))},  # on head {literal(_batch(theirs))}"
        return
    names = [name for name in trial.field_names if getattr(ours, name) != getattr(theirs, name)]
    yield f"    {trial.step}: {{"
    for name in names:
        yield f'        "{name}": {literal(getattr(ours, name))},  # on head {getattr(theirs, name)}'
    yield "    },"


def _batch(record: StepRecord) -> tuple[str, int, int]:
    return record.mode, len(record.rids), sum(record.tokens)


def _requests(requests: Sequence[Request], tokens: PromptTokens, *, indent: int) -> Iterator[str]:
    for one in requests:
        keywords = [f"max_new_tokens={one.max_new_tokens}"] if one.max_new_tokens != 1 else []
        keywords += ["ignore_eos=True"] if one.ignore_eos else []
        keywords += [f"priority={one.priority}"] if one.priority is not None else []
        keywords += [f"logprobs_from={one.logprobs_from}"] if one.logprobs_from is not None else []
        keywords += [f"frequency_penalty={one.frequency_penalty}"] if one.frequency_penalty else []
        keywords += [f"adapter={literal(one.adapter)}"] if one.adapter is not None else []
        keywords += [f"grammar_steps={one.grammar_steps}"] if one.grammar_steps is not None else []
        arguments = [literal(one.rid), tokens.prompt(one), *keywords]
        yield f"{' ' * indent}request({', '.join(arguments)}),"


class PromptTokens:
    """One token per segment: prompts that share a prefix in the workload share it here."""

    def __init__(self, *, has_text: bool) -> None:
        self._has_text = has_text
        self._tokens: dict[tuple[object, ...], int] = {}

    def prompt(self, request: Request) -> str:
        """Return a prompt as an expression."""
        before: tuple[object, ...] = ()
        prompt = ""
        for part in request.prompt:
            if part.seed is None and self._has_text:
                prompt = f"said({prompt or '[]'}, {part.length})"
            else:
                token = _EMITTED_TOKEN
                if part.seed is not None:
                    token = self._tokens.setdefault((*before, part.seed), _FIRST_TOKEN + len(self._tokens))
                prompt = f"{prompt} + [{token}] * {part.length}".removeprefix(" + ")
            before = (*before, (part.seed, part.length))
        return prompt


def engine_lines(engine: EngineSettings) -> tuple[list[str], str]:
    """Return the lines of the engine's keywords, and the import that they need."""
    lines = [f'        "{name}": {literal(value)},' for name, value in engine.engine_keywords().items()]
    defaults = EngineSettings()
    special = {
        "model": engine.model,
        "tree_core": engine.tree_core,
        "speculative_accept": engine.speculative_accept,
        "switches": dict(engine.server_args),
        "environment": {name: str(value) for name, value in engine.env},
    }
    given = [
        f"{name}={literal(value)}"
        for name, value in special.items()
        if value and value != getattr(defaults, name, None)
    ]
    if not given:
        return lines, ""
    lines.insert(0, f'        "settings": HostSettings({", ".join(given)}),')
    return lines, "\nfrom exhausters.engine.settings import HostSettings"


def literal(value: Any) -> str:
    """Python's literal, with the quotes of the formatter."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(one)}" for key, one in value.items()) + "}"
    return repr(value)
