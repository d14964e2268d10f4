"""Plays scripts inside a worker: many for one message, each judged at every step, then drained and reset."""

from __future__ import annotations

import pickle
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

from exhausters.errors import PressureError, ResetError
from exhausters.fuzz.features import takes_pages
from exhausters.fuzz.operations import (
    Abort,
    Exhaust,
    Flush,
    FuzzScript,
    Operation,
    Pause,
    Release,
    Resume,
    Steps,
    Submit,
)
from exhausters.fuzz.sometimes import Watch
from exhausters.oracles import Finding, PromiseJudged
from exhausters.oracles.conservation import Conservation
from exhausters.pressure.levels import PressureLevels
from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.judged_run import JudgedRun
from exhausters.scripted.reset import DRAIN_MAX_STEPS, reset_engine
from exhausters.workloads import Request

# Promises that no oracle judges step by step: they end a script.
CLEAN_END, NO_CRASH = "clean end", "no crash"
WANTS: Mapping[str, str] = {
    CLEAN_END: f"after an abort of all requests the engine is idle within {DRAIN_MAX_STEPS} steps",
    NO_CRASH: "the scheduler goes on serving, whatever it is asked for",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What one script has shown.

    Attributes:
        digest: of the script.
        findings: broken promises.
        promises: how often each was judged.
        reached: names of the states that were reached.
        steps: how many were taken, those of the drain included.
        log_digest: of its decision log.
        refused: operations that could not be done as asked, such as pinning in an empty tree, or a turn of a
            session whose turn before it has not ended.
        is_clean: whether the engine is as new for the next script.
    """

    digest: str
    findings: tuple[Finding, ...]
    promises: tuple[PromiseJudged, ...]
    reached: tuple[str, ...]
    steps: int
    log_digest: str
    refused: int = 0
    is_clean: bool = True


def play_all(
    t: ScriptedContext, scripts: Sequence[FuzzScript], chunk_tokens: int
) -> Generator[None, None, tuple[Played, ...]]:
    """Play scripts one after another; the first one that leaves the engine unclean is the last.

    What has been played is salvaged when the worker dies: each script's digest as it begins, and what it has
    shown as it ends.
    """
    notes = _Notes(t)
    played: list[Played] = []
    for script in scripts:
        notes.add(script.digest)
        t.begin_script()
        found = yield from _play_and_reset(t, script, chunk_tokens)
        played.append(found)
        notes.add(found)
        if not found.is_clean:
            break
    return tuple(played)


class _RefusedError(Exception):
    """An operation that cannot be done as asked is left out."""


class _Notes:
    """What outlives the worker: from memory when the scheduler raises, in the spool when it is killed."""

    def __init__(self, t: ScriptedContext) -> None:
        self._noted: list[str | Played] = []
        self._path = t.spool_path
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        t.salvage = lambda: tuple(self._noted)

    def add(self, what: str | Played) -> None:
        """Note one thing more."""
        self._noted.append(what)
        if self._path is not None:
            with self._path.open("ab") as file:
                pickle.dump((what,), file)


def _play_and_reset(
    t: ScriptedContext, script: FuzzScript, chunk_tokens: int
) -> Generator[None, None, Played]:
    played = yield from play(t, script, chunk_tokens)
    if not played.is_clean:
        return played
    try:
        yield from reset_engine(t)
    except ResetError as error:
        found = _found(CLEAN_END, str(error), step=played.steps)
        return replace(played, findings=(*played.findings, found), is_clean=False)
    return played


def play(t: ScriptedContext, script: FuzzScript, chunk_tokens: int) -> Generator[None, None, Played]:
    """Play one script and drain it; every broken promise is a finding, not an exception."""
    run = JudgedRun(t, chunk_tokens=chunk_tokens)
    watch = Watch(t.engine, run)
    run.watchers.append(watch.on_step)
    refused = 0
    with run:
        for operation in script.operations:
            try:
                yield from _perform(t, run, watch, operation)
            except (PressureError, _RefusedError):
                refused += 1
        if (yield from run.drain()):
            watch.on_drained()
    judgement = run.judgement
    return Played(
        digest=script.digest,
        findings=judgement.findings,
        promises=judgement.promises,
        reached=tuple(sorted(watch.reached)),
        steps=run.recorder.step_count,
        log_digest=run.recorder.log.digest,
        refused=refused,
        # What was lost stays lost, whatever is played next.
        is_clean=all(one.promise != Conservation.name for one in judgement.findings),
    )


def _found(promise: str, saw: str, *, step: int) -> Finding:
    saw = saw.split("\n", 1)[0]
    return Finding(
        promise=promise, wants=WANTS[promise], saw=saw, step=step, first_step=step, cause=cause_in(saw)
    )


def cause_in(text: str) -> str:
    """Return a sentence without its numbers, so that equal causes are told once."""
    words = " ".join("".join(" " if one.isdigit() else one for one in text).split())
    return words[:100]


def _perform(t: ScriptedContext, run: JudgedRun, watch: Watch, one: Operation) -> Generator[None, None, None]:
    match one:
        case Submit(request=request):
            _submit(t, run, request)
        case Steps(count=count):
            yield from run.steps(count)
        case Abort():
            yield from _abort(run, watch, one)
        case Pause(mode=mode):
            watch.on_pause()
            run.pause("retract" if mode == "retract" else "in_place")
        case Resume():
            run.resume()
        case Exhaust(levels=levels):
            if _would_starve_chunk(t, levels):
                raise PressureError("a request is being prefilled in chunks that the engine does not park")
            t.apply_pressure(levels)
        case Release():
            run.release()
        case Flush():
            yield from run.flush()


def _submit(t: ScriptedContext, run: JudgedRun, request: Request) -> None:
    tokens = request.tokens(t.text)
    head = tokens[: request.session.has_tokens] if request.session is not None else ()
    if request.after is not None and not run.has_left(request.after, head):
        raise _RefusedError(f"{request.rid}: the turn before it has not ended, or not as it should")
    run.submit(
        request.rid,
        tokens,
        max_new_tokens=request.max_new_tokens,
        ignore_eos=request.ignore_eos,
        priority=request.priority,
        logprobs_from=request.logprobs_from,
        adapter=request.adapter,
        grammar_steps=request.grammar_steps,
        session=request.session,
        after=request.after,
    )


def _would_starve_chunk(t: ScriptedContext, levels: PressureLevels) -> bool:
    """Whether pages would be taken away that SGLang has reckoned with for the next chunk.

    Without an exhauster they stay: nobody decodes between two chunks. A dense model's chunk is computed
    without asking again (`PrefillAdder.add_chunked_req`): the scheduler ends with "Prefill out of memory".
    """
    engine = t.engine
    is_parked = engine.kv_pool.window_total_tokens is not None
    return takes_pages(levels) and engine.chunked_rid() is not None and not is_parked


def _abort(run: JudgedRun, watch: Watch, one: Abort) -> Generator[None, None, None]:
    if one.rid not in run.rids:
        return
    if one.stage is not None:
        is_there = yield from run.until(one.rid, one.stage, within=one.within_steps)
        if not is_there:
            return
    watch.on_abort(run.stage_of(one.rid))
    run.abort(one.rid)
