"""Run requests step by step in a script and see what the scheduler decided: for reproducers.

def script(t):
    due = {0: [request("a", [101] * 256), request("b", [102] * 320, max_new_tokens=4)]}
    steps = yield from recorded_steps(t, due, steps=3)
    expect_steps(steps, {0: ("prefill", 2, 576), 2: {"mode": "decode", "rids": ("a", "b")}})
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from exhausters.observe.forward_time import ForwardTimeModel, LinearForwardTime
from exhausters.observe.recorder import Recorder
from exhausters.observe.step_record import StepRecord
from exhausters.scripted.context import ScriptedContext
from exhausters.workloads import CanaryText

# A request in plain values: keywords of `ScriptedContext.submit`.
RequestKeywords = dict[str, Any]


def request(
    rid: str,
    prompt: Sequence[int],
    *,
    max_new_tokens: int = 1,
    ignore_eos: bool = False,
    priority: int | None = None,
    logprobs_from: int | None = None,
    frequency_penalty: float = 0.0,
    adapter: str | None = None,
    grammar_steps: int | None = None,
) -> RequestKeywords:
    """Return a request that is decoded greedily.

    `logprobs_from` asks for log-probabilities of the prompt, `adapter` names a LoRA adapter, and
    `grammar_steps` gives it a grammar that is compiled in so many steps.
    """
    sampling = {"max_new_tokens": max_new_tokens, "ignore_eos": ignore_eos, "temperature": 0.0}
    if frequency_penalty:
        sampling["frequency_penalty"] = frequency_penalty
    scored = {} if logprobs_from is None else {"return_logprob": True, "logprob_start_len": logprobs_from}
    further = {"lora_path": adapter, "grammar_steps": grammar_steps}
    given = {name: value for name, value in further.items() if value is not None}
    return {
        "input_ids": list(prompt),
        "rid": rid,
        "sampling": sampling,
        "priority": priority,
        **scored,
        **given,
    }


def said(prompt: Sequence[int], count: int) -> list[int]:
    """Return a prompt and the first `count` tokens that the canary model emits behind it."""
    return [*prompt, *CanaryText().after(prompt, count)]


def drain(t: ScriptedContext, requests: Sequence[RequestKeywords]) -> Generator[None, None, None]:
    """Run requests to completion, as a warm-up."""
    for one in requests:
        t.submit(**one)
    while True:
        yield
        if t.is_fully_idle and not t.has_unreceived:
            return


def recorded_steps(
    t: ScriptedContext,
    due: Mapping[int, Sequence[RequestKeywords]],
    *,
    steps: int,
    forward_time: ForwardTimeModel | None = None,
) -> Generator[None, None, tuple[StepRecord, ...]]:
    """Run `steps` steps, each after the requests that are due before it, and return their records.

    Args:
        t: the context of the script.
        due: requests by the number of the step before which they are submitted, from 0.
        steps: how many to run.
        forward_time: the model that moves the clock; `linear` by default.
    """
    recorder = Recorder(
        engine=t.engine,
        clock=t.clock,
        pressure=t.pressure,
        forward_time=forward_time or LinearForwardTime(),
        ranks=t.ranks,
    )
    recorder.start()
    t.observers.append(recorder)
    try:
        for number in range(steps):
            for one in due.get(number, ()):
                t.submit(**one)
            yield
    finally:
        recorder.stop()
        t.observers.remove(recorder)
    return recorder.log.steps


def expect_steps(
    steps: Sequence[StepRecord], expected: Mapping[int, tuple[str, int, int] | Mapping[str, Any]]
) -> None:
    """Compare steps by their number.

    Args:
        steps: what was recorded.
        expected: per step its mode, number of requests and computed tokens, or fields of its record by name.

    Raises:
        AssertionError: names the first step that is not as expected, with both.
    """
    for number, wanted in sorted(expected.items()):
        one = steps[number]
        found: object
        if isinstance(wanted, tuple):
            found = (one.mode, len(one.rids), sum(one.tokens))
        else:
            found = {name: getattr(one, name) for name in wanted}
        if found != wanted:
            raise AssertionError(f"step {number}: expected {wanted}, got {found}")
