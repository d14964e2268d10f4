"""A script that acts as it goes, judged by all oracles at every step, and drained at its end.

def script(t):
    with JudgedRun(t) as run:
        run.submit("a", [101] * 512, max_new_tokens=64)
        yield from run.steps(3)
        run.abort("a")
        yield from run.drain()
    run.expect_kept("liveness")
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Literal, Self

from exhausters.engine.api import outputs_owed
from exhausters.errors import UsageError
from exhausters.observe.forward_time import LinearForwardTime
from exhausters.observe.recorder import Recorder
from exhausters.observe.step_record import StepRecord
from exhausters.oracles import Judge, Judgement
from exhausters.oracles.liveness import steps_to_drain
from exhausters.oracles.room import STEPS_TO_ADMIT
from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.judged_steps import expect_unbroken
from exhausters.workloads import Session

# Where a request may be when something happens to it. What has run and waits again was put back, by a
# retraction, a preemption or a pause.
WAITING, CHUNKED, RUNNING, RETRACTED = "waiting", "chunked", "running", "retracted"
STAGES = (WAITING, CHUNKED, RUNNING, RETRACTED)
# Only requests with a grammar are there, before they may wait.
COMPILING = "compiling"


class JudgedRun:
    """What a script does to the engine, and what the oracles say; a context manager.

    Its operations are received by the engine in the step that follows, except those of exhausters, which act
    at once.

    Attributes:
        recorder: has the records of the steps.
        watchers: are given the record of each step when it has ended.
    """

    def __init__(self, t: ScriptedContext, *, chunk_tokens: int = -1) -> None:
        """See the class.

        Args:
            t: the context of the script.
            chunk_tokens: tokens that a prefill computes at most, for the bound of a drain; -1 for all.
        """
        self._t = t
        self._chunk_tokens = chunk_tokens
        self._prompts: dict[str, Sequence[int]] = {}
        self._wanted: dict[str, int] = {}
        self._scored: set[str] = set()
        self._adapters: dict[str, str] = {}
        self._last_turns: dict[str, str] = {}
        self._unread: list[str] = []
        self.watchers: list[Callable[[StepRecord], None]] = []
        self.recorder = Recorder(
            engine=t.engine,
            clock=t.clock,
            pressure=t.pressure,
            forward_time=LinearForwardTime(),
            raises=False,
            ranks=t.ranks,
        )
        self._judge = Judge(
            engine=t.engine,
            pressure=t.pressure,
            recorder=self.recorder,
            requests=self,
            text=t.text,
            on_unbalanced=t.tolerate_unbalanced,
        )

    def __enter__(self) -> Self:
        self.recorder.start()
        self._t.observers.append(self.recorder)
        self._judge.start()
        self._t.observers.append(self._judge)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._judge.stop()
        self.recorder.stop()
        self._t.observers.clear()

    # `exhausters.oracles.Requests`.

    def prompt(self, rid: str) -> Sequence[int]:
        """The prompt's tokens; empty for a request that was not submitted here."""
        return self._prompts.get(rid, ())

    def wanted_outputs_of(self, rid: str) -> int:
        """Tokens that a request is to emit; 0 for one that was not submitted here."""
        return self._wanted.get(rid, 0)

    def is_scored(self, rid: str) -> bool:
        """Whether it asks for log-probabilities of its prompt."""
        return rid in self._scored

    def adapter_of(self, rid: str) -> str:
        """The adapter that it names; empty for none."""
        return self._adapters.get(rid, "")

    def is_prefill_only(self, rid: str) -> bool:
        """Whether it asks for no outputs."""
        return self._wanted.get(rid) == 0

    # Questions.

    @property
    def judgement(self) -> Judgement:
        """What the oracles have found until now."""
        return self._judge.judgement

    @property
    def rids(self) -> tuple[str, ...]:
        """Every request that was submitted, in order."""
        return tuple(self._prompts)

    def is_at(self, rid: str, stage: str) -> bool:
        """Whether a request is at one of `STAGES`, or at `COMPILING`.

        Raises:
            UsageError: there is no such stage.
        """
        engine = self._t.engine
        if stage not in (*STAGES, COMPILING):
            raise UsageError(f"stage={stage!r}: expected one of {', '.join((*STAGES, COMPILING))}")
        if stage == COMPILING:
            return rid in engine.grammar_rids()
        if stage == CHUNKED:
            return engine.chunked_rid() == rid
        if stage == RUNNING:
            return rid in engine.running_rids()
        return rid in engine.waiting_rids() and self._t.batch_log.has_run(rid) == (stage == RETRACTED)

    def stage_of(self, rid: str) -> str | None:
        """Return at which of `STAGES`, or whether at `COMPILING`, a request is; None when at none."""
        return next((stage for stage in (*STAGES, COMPILING) if self.is_at(rid, stage)), None)

    def has_left(self, rid: str, head: Sequence[int]) -> bool:
        """Whether a request has ended with all its outputs, and with its prompt they are `head`."""
        prompt, wanted = self._prompts.get(rid, ()), self._wanted.get(rid, 0)
        if not prompt or self.recorder.outputs[rid] < wanted or self._t.engine.find_request(rid) is not None:
            return False
        return list(head) == [*prompt, *self._t.text.after(prompt, wanted)]

    # Operations.

    def submit(
        self,
        rid: str,
        prompt: Sequence[int],
        *,
        max_new_tokens: int = 1,
        ignore_eos: bool = False,
        priority: int | None = None,
        logprobs_from: int | None = None,
        adapter: str | None = None,
        grammar_steps: int | None = None,
        session: Session | None = None,
        after: str | None = None,
    ) -> None:
        """Send a request that is decoded greedily; keywords are those of `exhausters.workloads.Request`.

        Of a later turn of a session, which follows `after`, only what is new is sent; `prompt` is all of it.

        Raises:
            UnsupportedSettingError: what `ScriptedContext.submit_request` raises.
        """
        if adapter is not None:
            self._t.require_adapters(rid, adapter)
        if session is not None:
            self._last_turns[session.name] = rid
            if not session.has_tokens:
                self._t.engine.open_session(session.name, is_streaming=session.streams)
        self._t.submit(
            prompt if session is None else prompt[session.has_tokens :],
            rid=rid,
            sampling={"max_new_tokens": max_new_tokens, "ignore_eos": ignore_eos, "temperature": 0.0},
            priority=priority,
            return_logprob=logprobs_from is not None,
            logprob_start_len=logprobs_from,
            lora_path=adapter,
            grammar_steps=grammar_steps,
            session_id=None if session is None else session.name,
            session_rid=after,
        )
        self._scored.update([rid] if logprobs_from is not None else [])
        self._adapters.update({rid: adapter} if adapter is not None else {})
        self._prompts[rid] = prompt
        self._wanted[rid] = outputs_owed(self._t.engine.transfers, max_new_tokens)
        self._unread.append(rid)

    def abort(self, rid: str) -> None:
        """Abort one request."""
        self._t.engine.abort(rid)

    def pause(self, mode: Literal["retract", "in_place"]) -> None:
        """Pause generation."""
        self._t.pause_generation(mode=mode)

    def resume(self) -> None:
        """Resume generation."""
        self._t.continue_generation()

    def exhaust(self, *, held: bool = False, **levels: int) -> None:
        """Take down to every level given; raises what `ScriptedContext.exhaust` does."""
        self._t.exhaust(held=held, **levels)

    def release(self) -> None:
        """Give back all that is held."""
        self._t.release_pressure()

    def flush(self) -> Generator[None, None, None]:
        """Empty the cache, in one step, if the engine is idle and nothing is held back.

        A flush makes the pools anew: what an exhauster holds would be there twice.
        """
        t = self._t
        if not t.is_fully_idle or t.has_unreceived or any(t.pressure.holdings().values()):
            return
        self._judge.flushed()
        t.flush_cache()
        yield from self._step()

    # Steps.

    def steps(self, count: int) -> Generator[None, None, None]:
        """Let the engine take `count` steps."""
        for _ in range(count):
            yield from self._step()

    def until(self, rid: str, stage: str, *, within: int) -> Generator[None, None, bool]:
        """Step until a request is at one of `STAGES`, at most `within` steps; tells whether it is."""
        for _ in range(within):
            if self.is_at(rid, stage):
                return True
            yield from self._step()
        return self.is_at(rid, stage)

    def drain(self) -> Generator[None, None, bool]:
        """Release everything, resume, and step until all is done; past its bound that is a finding.

        Sessions are closed as their last turn ends: what they keep is kept from the others.

        Tells whether it has drained. An engine that is left marked as full is tried with one more request,
        outside the log.
        """
        t = self._t
        t.release_pressure()
        if t.has_unreceived:  # a pause that was asked for last
            yield from self._step()
        if t.engine.is_paused():
            t.continue_generation()
        released = self.recorder.step_count
        bound = steps_to_drain(self._remaining(), chunk_tokens=self._chunk_tokens)
        self._close_ended()
        while not t.is_fully_idle or t.has_unreceived:
            if self.recorder.step_count - released >= bound:
                self._judge.stuck(bound_steps=bound, released_step=released)
                return False
            yield from self._step()
            self._close_ended()
        self._judge.drained()
        if t.engine.is_marked_full():
            yield from knock(t, self._judge)
        return True

    def expect_kept(self, promise: str) -> None:
        """Compare what the oracles say with what is promised; raises what `expect_unbroken` does.

        A scheduler that is mended may leave nothing to judge: it admits at once what waited before.
        """
        expect_unbroken(self.judgement, promise)

    def _close_ended(self) -> None:
        """Close the sessions none of whose turns is under way."""
        engine = self._t.engine
        for name in engine.open_sessions() if self._last_turns else ():
            if engine.find_request(self._last_turns[name]) is None:
                engine.close_session(name)

    def _remaining(self) -> list[tuple[int, int]]:
        outputs = self.recorder.outputs
        left = [rid for rid, wanted in self._wanted.items() if outputs[rid] < wanted]
        return [(len(self._prompts[rid]), self._wanted[rid]) for rid in left]

    def _step(self) -> Generator[None, None, None]:
        yield
        self._read_limits()
        newest = self.recorder.newest
        if newest is not None:
            for watcher in self.watchers:
                watcher(newest)

    def _read_limits(self) -> None:
        """Learn what the engine lets those emit that it has received since."""
        if not self._unread or self._t.has_unreceived:
            return
        limits = self._t.engine.output_limits()
        for rid in self._unread:
            asked = self._wanted[rid]
            if 0 < limits.get(rid, asked) < asked:
                self._wanted[rid] = limits[rid]
        self._unread.clear()


def knock(t: ScriptedContext, judge: Judge) -> Generator[None, None, None]:
    """See whether the mark of an idle engine keeps a request out; a reset would take it off unseen."""
    t.observers.clear()  # none of this is part of the run
    knocking = t.start_req(prompt_len=1, max_new_tokens=1, rid="knock")
    for _ in range(STEPS_TO_ADMIT + 1):  # one to be received
        yield
        if t.status(knocking.rid) != "waiting":
            return
    judge.kept_out()
