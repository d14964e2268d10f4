"""What is sent to the scheduler: segments make prompts.

Prompts are kept as (seed, length) pairs and expanded to token ids only when they are submitted: a
workload of a million tokens stays small, travels cheaply to the worker, and has a digest.

Everything here is imported inside the worker: standard library only.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from exhausters.errors import WorkloadError
from exhausters.workloads.emitted import EmittedText
from exhausters.workloads.event import Event
from exhausters.workloads.tokens import expand
from exhausters.workloads.transfer import Transfer

#: What a null model's token has more of than any other.
LOGIT_DISTANCE = 100.0
#: Well below what counts as a stall: nothing runs while all requests wait for a grammar.
GRAMMAR_STEPS_MAX = 32
#: Longest time, some 30,000 years: anything longer is a mistake.
SECONDS_MAX = 1 << 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A run of tokens; those with equal seeds share their first min(length) tokens.

    Args:
        seed: names the content, >= 0; None means "what the model emitted" after what stands before it.
        length: tokens, >= 1.

    Raises:
        WorkloadError: a seed or length of the wrong type or sign.
    """

    seed: int | None
    length: int

    def __post_init__(self) -> None:
        if self.seed is not None:
            require_int("Segment.seed", self.seed, minimum=0)
        require_int("Segment.length", self.length, minimum=1)

    def tokens(self, emitted: EmittedText, *, behind: Sequence[int] = ()) -> array[int]:
        """Token ids, shape (length,), a fresh array of typecode 'q'.

        Args:
            emitted: what the model emits.
            behind: the tokens that stand before the segment.
        """
        if self.seed is None:
            return emitted.after(behind, self.length)
        return expand(self.seed, self.length)


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """The session of which a request is a turn.

    Args:
        name: unique among the sessions of a workload.
        streams: whether the engine keeps its KV and request row between two turns, beside its tokens.
        has_tokens: tokens at the head of the prompt that the session has already, so that they are not sent;
            0 for its first turn.

    Raises:
        WorkloadError: a value of the wrong type or sign.
    """

    name: str
    streams: bool
    has_tokens: int = 0

    def __post_init__(self) -> None:
        require_text("Session.name", self.name)
        if not isinstance(self.streams, bool):
            raise WorkloadError(f"Session.streams={self.streams!r}: must be True or False")
        require_int("Session.has_tokens", self.has_tokens, minimum=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One generation request.

    Args:
        rid: request id, unique in its workload.
        arrival_seconds: modelled time from the start of the workload or, when `after` is given,
            from the moment that request finished (think time of a closed loop). Finite, >= 0.
        prompt: one or more segments.
        max_new_tokens: output length asked for, and produced: the null model emits no end token. 0 asks for
            the prefill alone, which computes one token all the same.
        priority: SGLang's scheduling priority; None leaves it to the scheduler.
        after: rid of an earlier request of the same list that must have finished first.
        ignore_eos: ask SGLang to continue after an end token. It then admits the request by its whole
            output instead of an estimate, and so hardly ever retracts; False is what clients send.
        logprobs_from: position in the prompt from which on log-probabilities are asked for, >= 0; None for no
            log-probabilities. With 0 no prefix is taken from the cache: a scoring request.
        events: what happens to it while it is served.
        frequency_penalty: taken from the logit of a token for each time it was emitted, as SGLang's sampling
            parameter of that name. The null models' logits are 100 apart, so that no text changes: the
            penalty, times the outputs, must stay below.
        adapter: name of the LoRA adapter that it asks for; None for the base model.
        grammar_steps: steps after its arrival in which its grammar is compiled, before which it may not even
            wait in the queue, 0 to `GRAMMAR_STEPS_MAX`; None for no grammar. It allows every token.

        session: of which it is a turn; None for a request of its own. Those of a session follow each other.
        transfer: how its KV travels, where it is sent to an engine of a disaggregated pair.

    Raises:
        WorkloadError: names the field, the value and what was expected.
    """

    rid: str
    arrival_seconds: float
    prompt: tuple[Segment, ...]
    max_new_tokens: int
    priority: int | None = None
    after: str | None = None
    ignore_eos: bool = False
    logprobs_from: int | None = None
    events: tuple[Event, ...] = ()
    frequency_penalty: float = 0.0
    adapter: str | None = None
    grammar_steps: int | None = None
    session: Session | None = None
    transfer: Transfer | None = None

    def __post_init__(self) -> None:
        require_text("Request.rid", self.rid)
        where = f"request {self.rid!r}"
        seconds = require_seconds(f"{where}: arrival_seconds", self.arrival_seconds)
        object.__setattr__(self, "arrival_seconds", seconds)
        object.__setattr__(self, "prompt", tuple(self.prompt))
        if not self.prompt or not all(isinstance(part, Segment) for part in self.prompt):
            raise WorkloadError(f"{where}: prompt={self.prompt!r}: must be one or more Segment; add one")
        require_int(f"{where}: max_new_tokens", self.max_new_tokens, minimum=0)
        if self.priority is not None:
            require_int(f"{where}: priority", self.priority)
        if self.after is not None:
            require_text(f"{where}: after", self.after)
        if not isinstance(self.ignore_eos, bool):
            raise WorkloadError(f"{where}: ignore_eos={self.ignore_eos!r}: must be True or False")
        if self.logprobs_from is not None:
            require_int(f"{where}: logprobs_from", self.logprobs_from, minimum=0)
        object.__setattr__(self, "events", tuple(self.events))
        if not all(isinstance(one, Event) for one in self.events):
            raise WorkloadError(f"{where}: events={self.events!r}: must be Event objects")
        if self.adapter is not None:
            require_text(f"{where}: adapter", self.adapter)
        if self.grammar_steps is not None:
            name = f"{where}: grammar_steps"
            if require_int(name, self.grammar_steps, minimum=0) > GRAMMAR_STEPS_MAX:
                raise WorkloadError(f"{name}={self.grammar_steps}: must be <= {GRAMMAR_STEPS_MAX}")
        self._check_session(where)
        if self.transfer is not None and not isinstance(self.transfer, Transfer):
            raise WorkloadError(f"{where}: transfer={self.transfer!r}: must be a Transfer or None")
        self._check_penalty(where)

    def _check_session(self, where: str) -> None:
        if self.session is None:
            return
        if not isinstance(self.session, Session):
            raise WorkloadError(f"{where}: session={self.session!r}: must be a Session")
        if self.session.has_tokens >= self.prompt_tokens or (self.session.has_tokens and not self.after):
            raise WorkloadError(
                f"{where}: session.has_tokens={self.session.has_tokens}: must be fewer than the prompt's "
                f"{self.prompt_tokens}, and 0 for a request that follows none"
            )

    def _check_penalty(self, where: str) -> None:
        penalty = self.frequency_penalty
        if isinstance(penalty, bool) or not isinstance(penalty, (int, float)) or not 0 <= penalty <= 2:
            raise WorkloadError(f"{where}: frequency_penalty={penalty!r}: must be a number from 0 to 2")
        if penalty * self.max_new_tokens >= LOGIT_DISTANCE:
            raise WorkloadError(
                f"{where}: frequency_penalty={penalty!r}: times {self.max_new_tokens} outputs is not below "
                f"{LOGIT_DISTANCE}, the distance of the null models' logits; take less of either"
            )

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt in tokens."""
        return sum(part.length for part in self.prompt)

    @property
    def output_tokens(self) -> int:
        """Tokens that are computed for it: that of its prefill at least."""
        return max(1, self.max_new_tokens)

    def tokens(self, emitted: EmittedText) -> array[int]:
        """Token ids of the prompt, shape (prompt_tokens,), a fresh array of typecode 'q'.

        Args:
            emitted: what the null model emits. Tokens below 65536 can never be taken for the first token
                of a segment.
        """
        ids = array("q")
        for part in self.prompt:
            ids.extend(part.tokens(emitted, behind=ids))
        return ids


def require_int(name: str, value: object, *, minimum: int | None = None) -> int:
    """`value` if it is an int (a bool is not) of at least `minimum`, else `WorkloadError`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise WorkloadError(f"{name}={value!r}: must be an integer, not {type(value).__name__}")
    if minimum is not None and value < minimum:
        raise WorkloadError(f"{name}={value}: must be >= {minimum}")
    return value


def require_seconds(name: str, value: object) -> float:
    """`value` as a float if it is a finite number >= 0 (a bool is not), else `WorkloadError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WorkloadError(f"{name}={value!r}: must be a number of seconds, not {type(value).__name__}")
    if not 0 <= value <= SECONDS_MAX:  # false for NaN too
        raise WorkloadError(f"{name}={value!r}: must be finite, >= 0 and <= {SECONDS_MAX}")
    return float(value) + 0.0  # -0.0 and 0.0 are one instant and must have one digest


def require_text(name: str, value: object) -> None:
    """Raise `WorkloadError` unless `value` is a string that is not empty."""
    if not isinstance(value, str) or not value:
        raise WorkloadError(f"{name}={value!r}: must be a non-empty string")
