"""Run requests step by step in a script and let the oracles judge: for scripts that show a broken promise.

def script(t):
    due = {0: [request("a", [101] * 512, max_new_tokens=64), request("b", [102] * 512)]}
    judgement = yield from judged_steps(t, due, steps=20)
    expect_kept(judgement, "work conservation")
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence

from exhausters.errors import UsageError
from exhausters.observe.forward_time import LinearForwardTime
from exhausters.observe.recorder import Recorder
from exhausters.oracles import Judge, Judgement
from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.recorded_steps import RequestKeywords
from exhausters.workloads.event import ABORT, ACTIONS, PAUSE_IN_PLACE, PAUSE_RETRACT, RESUME


class _Submitted:
    """`exhausters.oracles.Requests` over requests in plain values."""

    def __init__(self, requests: Iterable[RequestKeywords]) -> None:
        self._requests = {one["rid"]: one for one in requests}

    def prompt(self, rid: str) -> Sequence[int]:
        found: Sequence[int] = self._requests[rid]["input_ids"] if rid in self._requests else ()
        return found

    def wanted_outputs_of(self, rid: str) -> int:
        return max(1, int(self._requests[rid]["sampling"]["max_new_tokens"])) if rid in self._requests else 0

    def is_scored(self, rid: str) -> bool:
        return bool(self._requests.get(rid, {}).get("return_logprob", False))

    def adapter_of(self, rid: str) -> str:
        return str(self._requests.get(rid, {}).get("lora_path") or "")

    def is_prefill_only(self, rid: str) -> bool:
        return rid in self._requests and self._requests[rid]["sampling"]["max_new_tokens"] == 0


def judged_steps(
    t: ScriptedContext,
    due: Mapping[int, Sequence[RequestKeywords]],
    *,
    steps: int,
    release_before: int | None = None,
    acts: Mapping[int, Sequence[tuple[str, str]]] | None = None,
) -> Generator[None, None, Judgement]:
    """Run `steps` steps, each after the requests that are due before it, and return what the oracles say.

    Args:
        t: the context of the script.
        due: requests by the number of the step before which they are submitted, from 0.
        steps: how many to run.
        release_before: the step before which all pressure is released; from there on the requests must have
            drained after `steps` steps. None releases when all steps have run, and asks for no drain.
        acts: what is done before a step, by its number, as pairs of what and a request id: `abort`,
            `pause_retract`, `pause_in_place`, `resume`.
    """
    recorder = Recorder(
        engine=t.engine,
        clock=t.clock,
        pressure=t.pressure,
        forward_time=LinearForwardTime(),
        raises=False,
        ranks=t.ranks,
    )
    judge = Judge(
        engine=t.engine,
        pressure=t.pressure,
        recorder=recorder,
        requests=_Submitted(one for requests in due.values() for one in requests),
        text=t.text,
        on_unbalanced=t.tolerate_unbalanced,
    )
    recorder.start()
    t.observers.append(recorder)
    judge.start()
    t.observers.append(judge)
    try:
        for number in range(steps):
            if number == release_before:
                t.release_pressure()
            for what, rid in (acts or {}).get(number, ()):
                _act(t, what, rid)
            for one in due.get(number, ()):
                t.submit(**one)
            yield
        t.release_pressure()
        if t.is_fully_idle:
            judge.drained()
        elif release_before is not None:
            judge.stuck(bound_steps=steps - release_before, released_step=release_before)
    finally:
        judge.stop()
        recorder.stop()
        t.observers.clear()
    return judge.judgement


def _act(t: ScriptedContext, what: str, rid: str) -> None:
    if what == ABORT:
        t.engine.abort(rid)
    elif what == RESUME:
        t.continue_generation()
    elif what in (PAUSE_RETRACT, PAUSE_IN_PLACE):
        t.pause_generation(mode="retract" if what == PAUSE_RETRACT else "in_place")
    else:
        known = ", ".join((*ACTIONS, RESUME))
        raise UsageError(f"acts: {what!r}: expected one of {known}")


def expect_unbroken(judgement: Judgement, promise: str) -> None:
    """Compare what the oracles say with what is promised, where there may be nothing to judge.

    Raises:
        AssertionError: the promise was broken; says what was wanted, what was seen, when.
    """
    for found in judgement.findings:
        if found.promise == promise:
            raise AssertionError(
                f"{promise}: broken from step {found.first_step} on\n"
                f"  wants: {found.wants}\n  saw: {found.saw}"
            )


def expect_kept(judgement: Judgement, promise: str) -> None:
    """Compare what the oracles say with what is promised.

    Raises:
        AssertionError: the promise was broken, or was not judged; says what was wanted, what was seen, when.
    """
    expect_unbroken(judgement, promise)
    for one in judgement.promises:
        if one.promise == promise and not one.judged:
            raise AssertionError(f"{promise}: not judged: {one.not_judged or 'nothing to judge came up'}")
