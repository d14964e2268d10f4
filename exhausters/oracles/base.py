"""What an oracle is, what it sees, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

from exhausters.engine.api import BatchView, BootFacts, Engine
from exhausters.observe.step_record import StepRecord
from exhausters.oracles.given_back import GivenBack
from exhausters.pressure import PressureSet
from exhausters.workloads import EmittedText


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A promise that was broken, once.

    Attributes:
        promise: name of the promise.
        wants: what is promised.
        saw: what was seen instead, with its numbers.
        step: the step from which on it is certain, from 0.
        first_step: the first step of those that broke the promise.
        rids: the requests that show it; empty where none does.
        cause: what of the engine's state goes with it, if any is known: findings of one cause are told once.
        steps: how many steps broke the promise in all.
    """

    promise: str
    wants: str
    saw: str
    step: int
    first_step: int
    rids: tuple[str, ...] = ()
    cause: str = ""
    steps: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the finding in plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseJudged:
    """How often one promise was judged in a run.

    Attributes:
        promise: its name.
        judged: how often the rule was applied: steps, requests or ends, whatever it judges.
        not_judged: why it, or a part of it, was not judged; empty when all of it was.
        measured: a value that goes with it and is no verdict, in words; empty for none.
    """

    promise: str
    judged: int
    not_judged: str = ""
    measured: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the oracles say about a run.

    Attributes:
        findings: broken promises, in the order of their steps.
        promises: what was judged, and what was not.
    """

    findings: tuple[Finding, ...]
    promises: tuple[PromiseJudged, ...]


class Requests(Protocol):
    """What is known of the requests of a run beside what the engine says."""

    def prompt(self, rid: str) -> Sequence[int]:
        """The prompt's tokens; empty for a request that is not known."""

    def wanted_outputs_of(self, rid: str) -> int:
        """Tokens that the request will emit if nobody ends it."""

    def is_scored(self, rid: str) -> bool:
        """Whether it asks for log-probabilities of its prompt: it may take no prefix from the cache."""

    def adapter_of(self, rid: str) -> str:
        """The adapter that it names; empty for none. What one adapter computed no other can use."""

    def is_prefill_only(self, rid: str) -> bool:
        """Whether it asks for no outputs: then nothing is sampled, and what it emits is no token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What oracles look at.

    Attributes:
        engine: the engine.
        facts: what was booted.
        pressure: what is held back.
        requests: the requests of the run.
        text: what the null model emits.
        given_back: what the pressure gave back, as far as it explains what the engine does.
    """

    engine: Engine
    facts: BootFacts
    pressure: PressureSet
    requests: Requests
    text: EmittedText
    given_back: GivenBack = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "given_back", GivenBack(self.engine, self.pressure))


class Oracle:
    """One promise, judged step by step.

    Attributes:
        name: of the promise.
        wants: the promise in a sentence.
        findings: what broke it.
        judged: how often it was judged.
        not_judged: why it was not, or not in full.
    """

    name: ClassVar[str]
    wants: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world
        self.findings: list[Finding] = []
        self.judged = 0
        self.not_judged = ""

    def on_batch(self, batch: BatchView) -> None:
        """A batch is about to run."""

    def on_finished(self, *, rid: str, outputs: Sequence[int], prompt_tokens: int, was_aborted: bool) -> None:
        """A request has ended; only told where the text depends on content."""

    def on_step(self, step: StepRecord) -> None:
        """One step has ended; nothing has been taken again by held pressure."""

    def on_retraction(self, aborted: int) -> None:
        """Running requests are put back in the step that is under way; `aborted` of them were given up."""

    def before_retraction(self, rids: tuple[str, ...]) -> None:
        """The engine is about to put some of these requests back."""

    def on_flush(self) -> None:
        """The idle engine is asked to empty its cache."""

    def on_drained(self, step: int) -> None:
        """The run is over, the pressure is released, and nothing waits or runs."""

    @property
    def answer(self) -> PromiseJudged:
        """How often it was judged."""
        return PromiseJudged(promise=self.name, judged=self.judged, not_judged=self.not_judged)

    def found(
        self,
        saw: str,
        *,
        step: int,
        first_step: int | None = None,
        rids: tuple[str, ...] = (),
        cause: str = "",
    ) -> Finding:
        """Add a finding and return it."""
        finding = Finding(
            promise=self.name,
            wants=self.wants,
            saw=saw,
            step=step,
            first_step=step if first_step is None else first_step,
            rids=rids,
            cause=cause,
        )
        self.findings.append(finding)
        return finding
