"""A campaign: the corpus, then seeded scripts in blocks, one engine each, on several workers side by side."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from exhausters.check.groups import PromiseCount, Same, count_promises, same_findings
from exhausters.errors import ExhaustersError
from exhausters.fuzz.cases import Case, Shown
from exhausters.fuzz.features import block_size, draw_engine
from exhausters.fuzz.generate import draw_scripts
from exhausters.fuzz.player import Player
from exhausters.fuzz.sometimes import STATES, unreached
from exhausters.oracles import Finding, Judgement
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.workers import Workers
from exhausters.targets import PreparedTarget
from exhausters.workloads.tokens import stable_seed

# Scripts for one message to a worker.
_BATCH = 20
# An engine on which workers end so often is left: each costs a boot.
_MOST_DEATHS = 5
# What `--minutes` alone plays: more than there is time for.
ENDLESS = 1 << 40

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is played.

    Attributes:
        scripts: how many are drawn.
        seed: of all that is drawn.
        minutes: after so many no further batch begins; None for no limit.
        corpus: cases that are played first.
        workers: schedulers side by side.
    """

    scripts: int
    seed: int = 0
    minutes: float | None = None
    corpus: tuple[Case, ...] = ()
    workers: int = 1


@dataclass(slots=True, kw_only=True)
class Campaign:
    """What a campaign has shown.

    Attributes:
        plan: what was to be played.
        shown: every case that was played, in the order of the plan.
        failures: what kept an engine's cases from being played, by the engine's label.
        seconds: how long it took, boots included.
    """

    plan: Plan
    shown: list[Shown] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def drawn(self) -> int:
        """How many of the cases were drawn, not of the corpus."""
        return len(self.shown) - len([one for one in self.shown if not one.case.features])

    @property
    def steps(self) -> int:
        """Steps in all."""
        return sum(one.played.steps for one in self.shown if one.played is not None)

    @property
    def groups(self) -> tuple[Same[Case], ...]:
        """Findings of one promise and cause once, the shortest script as their example."""
        found = [(finding, one.case) for one in self.shown for finding in one.findings]
        return same_findings(found, size=_size)

    @property
    def promises(self) -> tuple[PromiseCount, ...]:
        """How often each promise was judged and broken."""
        return count_promises([_judgement(one) for one in self.shown])

    @property
    def reached(self) -> dict[str, tuple[int, int]]:
        """Of the scripts that had what a state needs: those that reached it, and all, by the state's name."""
        counts = {}
        for state in STATES:
            able = [one for one in self.shown if one.played is not None and state.needs <= one.case.features]
            reached = sum(state.name in one.played.reached for one in able if one.played is not None)
            counts[state.name] = reached, len(able)
        return counts

    @property
    def unreached(self) -> tuple[str, ...]:
        """States that it should have reached."""
        counts = self.reached
        return unreached(
            {name: one[0] for name, one in counts.items()},
            {name: one[1] for name, one in counts.items()},
            scripts=self.drawn,
        )

    @property
    def exit_code(self) -> int:
        """Return 1 if anything was found; 2 if cases were not played, or a state not reached; else 0."""
        if any(one.findings for one in self.shown):
            return 1
        return 2 if self.failures or self.unreached or not self.shown else 0


def run_campaign(
    target: PreparedTarget,
    plan: Plan,
    *,
    owner: Workers,
    say: Say = lambda text: None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Campaign:
    """Play a plan on one build.

    Args:
        target: the build.
        plan: what is played.
        owner: lends the workers.
        say: is told of engines that fail, and of new findings.
        on_progress: is told how many scripts have been played.

    Raises:
        UsageError: hypothesis is not installed.
    """
    return _Running(target, plan, owner, say, on_progress).campaign()


class _Running:
    """A campaign that is under way."""

    def __init__(
        self,
        target: PreparedTarget,
        plan: Plan,
        owner: Workers,
        say: Say,
        on_progress: Callable[[int], None],
    ) -> None:
        self._target, self._plan, self._owner = target, plan, owner
        self._say, self._on_progress = say, on_progress
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._known: set[tuple[str, str]] = set()
        self._played = 0
        self._failures: dict[str, str] = {}

    def campaign(self) -> Campaign:
        campaign = Campaign(plan=self._plan, failures=self._failures)
        corpus = [list(cases) for cases in _by_engine(self._plan.corpus)]
        blocks = itertools.chain(corpus, _blocks(self._plan))
        with ThreadPoolExecutor(max_workers=self._plan.workers, thread_name_prefix="fuzz") as pool:
            try:
                while (some := list(itertools.islice(blocks, self._plan.workers))) and not self._is_over:
                    for shown in pool.map(self._play_block, some):
                        campaign.shown += shown
            except BaseException:
                self._owner.interrupt()  # threads are in the middle of scripts
                raise
        campaign.seconds = time.monotonic() - self._began
        return campaign

    @property
    def _is_over(self) -> bool:
        minutes = self._plan.minutes
        return minutes is not None and time.monotonic() - self._began >= 60 * minutes

    def _play_block(self, block: Block | list[Case]) -> list[Shown]:
        found: list[Shown] = []
        batches = [block] if isinstance(block, list) else block.batches()
        with self._owner.lease() as lease:
            player = Player(self._target, lease)
            for batch in batches:
                if self._is_over:
                    break
                try:
                    for shown in player.play(batch):
                        found.append(shown)
                        self._note(shown)
                except ExhaustersError as error:
                    self._fail(batch[0].engine, str(error).split("\n", 1)[0])
                    break
                if player.deaths >= _MOST_DEATHS:
                    self._fail(batch[0].engine, f"left after {player.deaths} workers had ended on it")
                    break
        return found

    def _note(self, shown: Shown) -> None:
        with self._lock:
            self._played += 1
            self._on_progress(self._played)
            for finding in shown.findings:
                key = finding.promise, finding.cause
                if key not in self._known:
                    self._known.add(key)
                    why = finding.cause or "no known cause"
                    self._say(f"found: {finding.promise} ({why}; {shown.case.origin}): {finding.saw}")

    def _fail(self, engine: EngineSettings, reason: str) -> None:
        with self._lock:
            self._failures[engine.label] = reason
            self._say(f"{engine.label}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Scripts that are drawn for one engine.

    Attributes:
        seed: of the campaign.
        number: of the block, from 0.
        scripts: how many.
    """

    seed: int
    number: int
    scripts: int

    def batches(self) -> Iterator[list[Case]]:
        """Draw the cases, some at a time."""
        engine = draw_engine(self.seed, self.number)
        for batch, first in enumerate(range(0, self.scripts, _BATCH)):
            count = min(_BATCH, self.scripts - first)
            drawn = draw_scripts(engine, seed=stable_seed(self.seed, self.number, batch), count=count)
            yield [
                Case(
                    engine=engine,
                    script=script,
                    origin=f"seed {self.seed}, block {self.number}, script {first + number}",
                    features=features,
                )
                for number, (script, features) in enumerate(drawn)
            ]


def _blocks(plan: Plan) -> Iterator[Block]:
    size = block_size(plan.scripts)
    for number in itertools.count():
        left = plan.scripts - number * size
        if left <= 0:
            return
        yield Block(seed=plan.seed, number=number, scripts=min(size, left))


def _by_engine(cases: Sequence[Case]) -> list[tuple[Case, ...]]:
    engines: dict[EngineSettings, list[Case]] = {}
    for case in cases:
        engines.setdefault(case.engine, []).append(case)
    return [tuple(every) for every in engines.values()]


def _size(finding: Finding, case: Case) -> tuple[int, int]:
    return len(case.script.operations), finding.step


def _judgement(shown: Shown) -> tuple[Judgement | None, str]:
    if shown.played is None:
        return None, "the worker ended"
    return Judgement(findings=shown.findings, promises=shown.played.promises), ""
