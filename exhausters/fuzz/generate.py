"""Draws scripts by hypothesis; only the parent imports this.

Hypothesis draws, and nothing else: what breaks a promise is cut down by `shrink.py`, because a script is
played together with others, on an engine that must be booted, and its switches shrink too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from exhausters.extras import require_extra
from exhausters.fuzz import features as names
from exhausters.fuzz.features import (
    SCRIPT_FEATURES,
    SLOTS_PER_ROW,
    engine_features,
    further_features,
    has_chunks_without_parking,
    takes_pages,
)
from exhausters.fuzz.operations import (
    PAUSE_MODES,
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
from exhausters.pressure.levels import PressureLevels
from exhausters.scripted.judged_run import COMPILING, STAGES
from exhausters.sweep.cell import EngineSettings
from exhausters.workloads import Request, Segment, Session

# Seeds of segments that several prompts may share; a prompt's own part is named by its request.
_SHARED_SEEDS = 3
_OWN_SEED = 1_000
_FEWEST, _MOST = 4, 16
_LONGEST_BURST = 5
# More than there are slots.
_ADAPTERS = 5
# What is drawn is moves: an operation, or a few that have an effect only together. Weights are guesses that
# reach the states of `sometimes.py`; a feature that a script leaves out takes its moves along.
_MOVES: Mapping[str, tuple[int, str | None]] = {
    "submit": (4, None),
    "burst": (4, None),
    "steps": (6, None),
    "abort": (4, names.ABORTS),
    "exhaust": (2, names.PRESSURE),
    "squeeze": (3, names.PRESSURE),
    "release": (1, names.PRESSURE),
    "pause": (1, names.PAUSES),
    "rest": (2, names.PAUSES),
    "resume": (1, names.PAUSES),
    "flush": (1, names.FLUSHES),
    "turn": (8, names.SESSIONS),
}


def draw_scripts(engine: EngineSettings, *, seed: int, count: int) -> list[tuple[FuzzScript, frozenset[str]]]:
    """Return scripts for one engine, each with the features that it has; the same for the same seed.

    The first example of hypothesis is its simplest one in every run, and is left out.

    Raises:
        MissingExtraError: hypothesis is not installed.
    """
    hypothesis = _hypothesis()
    drawn: dict[str, tuple[FuzzScript, frozenset[str]]] = {}

    def collect(one: tuple[FuzzScript, frozenset[str]]) -> None:
        drawn.setdefault(one[0].digest, one)

    drawing = hypothesis.settings(
        # Some are drawn twice.
        max_examples=count + count // 2 + 2,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )(hypothesis.given(_strategy(hypothesis.strategies, engine))(collect))
    hypothesis.seed(seed)(drawing)()
    return list(drawn.values())[1 : count + 1]


def _hypothesis() -> Any:
    require_extra("fuzz", what="exhausters check --fuzz")
    import hypothesis

    return hypothesis


def _strategy(strategies: Any, engine: EngineSettings) -> Any:
    # A strategy costs more to make than to draw from: each is made once.
    made = _Made(strategies)

    def script(draw: Any) -> tuple[FuzzScript, frozenset[str]]:
        return _Drawing(draw, made, engine).script()

    return strategies.composite(script)()


class _Made:
    """The few strategies that scripts are drawn with."""

    def __init__(self, strategies: Any) -> None:
        self.of = cache(strategies.sampled_from)
        self.integers = cache(strategies.integers)
        self.flag = strategies.booleans()
        self.flags = cache(lambda count: strategies.tuples(*[self.flag] * count))
        self.lists = cache(
            lambda values, least, most: strategies.lists(self.of(values), min_size=least, max_size=most)
        )


class _Drawing:
    """One script, while it is drawn."""

    def __init__(self, draw: Any, made: _Made, engine: EngineSettings) -> None:
        self._draw, self._made, self._engine = draw, made, engine
        self._submitted: list[Request] = []
        # What a streaming session keeps is no other request's to hit, nor is it in the tree.
        self._shared: list[Request] = []
        self._last_turns: dict[str, Request] = {}

    def script(self) -> tuple[FuzzScript, frozenset[str]]:
        """Draw which features it has, then its operations."""
        made = self._made
        chosen = self._draw(made.flags(len(SCRIPT_FEATURES)))
        further = further_features(self._engine)
        if further:
            chosen += self._draw(made.flags(len(further)))
        self._has = frozenset(
            name for name, is_in in zip(SCRIPT_FEATURES + further, chosen, strict=True) if is_in
        ) | engine_features(self._engine)
        moves = [
            move
            for move, (weight, feature) in _MOVES.items()
            if feature is None or feature in self._has
            for _ in range(weight)
        ]
        drawn = self._draw(made.lists(tuple(moves), _FEWEST, _MOST))
        operations = [one for move in ("submit", *drawn) for one in getattr(self, f"_{move}")()]
        return FuzzScript(operations=tuple(operations)), self._has

    def _steps(self) -> list[Operation]:
        return [Steps(count=self._draw(self._made.of((1, 1, 1, 2, 2, 3, 4, 5, 8, 12))))]

    def _abort(self) -> list[Operation]:
        draw, made = self._draw, self._made
        among = self._submitted[-3:] if draw(made.flag) else self._submitted
        rid = among[draw(made.integers(0, len(among) - 1))].rid
        further = (COMPILING,) if names.GRAMMARS in self._has else ()
        stage = draw(made.of((None, *STAGES, *further)))
        return [Abort(rid=rid, stage=stage, within_steps=draw(made.integers(0, 8)) if stage else 0)]

    def _exhaust(self) -> list[Operation]:
        return [Exhaust(levels=self._levels())]

    def _squeeze(self) -> list[Operation]:
        """Hold back nearly all pages while requests decode: they must be retracted."""
        draw, made = self._draw, self._made
        levels = PressureLevels(leave_pages=draw(made.of((0, 0, 1, 2, 3))), held=self._can_hold_pages)
        steps = Steps(count=draw(made.of((2, 4, 8, 16, 24))))
        return [Exhaust(levels=levels), steps, *([Release()] if draw(made.flag) else [])]

    def _release(self) -> list[Operation]:
        return [Release()]

    def _pause(self) -> list[Operation]:
        return [Pause(mode=self._draw(self._made.of(PAUSE_MODES)))]

    def _rest(self) -> list[Operation]:
        """Pause for some steps."""
        return [*self._pause(), Steps(count=self._draw(self._made.integers(1, 3))), Resume()]

    def _resume(self) -> list[Operation]:
        return [Resume()]

    def _flush(self) -> list[Operation]:
        return [Flush()]

    def _burst(self) -> list[Operation]:
        """Several requests at once, more than there are rows in some."""
        count = self._draw(self._made.integers(2, _LONGEST_BURST))
        return [one for _ in range(count) for one in self._submit()]

    def _submit(self) -> list[Operation]:
        request = self._request(self._prompt())
        self._shared.append(request)
        return [Submit(request=request)]

    def _request(self, prompt: tuple[Segment, ...], **session: Any) -> Request:
        draw, made = self._draw, self._made
        outputs = (1, 2, 3, 4, 5, 8) + ((16, 32, 64) if names.LONG_OUTPUTS in self._has else ())
        request = Request(
            rid=f"r{len(self._submitted)}",
            arrival_seconds=0.0,
            prompt=prompt,
            max_new_tokens=draw(made.of(outputs)),
            priority=draw(made.of((None, 0, 1, 5))) if names.PRIORITY in self._has else None,
            ignore_eos=names.ALL_OUTPUTS in self._has and draw(made.flag),
            **self._further(prompt),
            **session,
        )
        self._submitted.append(request)
        return request

    def _further(self, prompt: tuple[Segment, ...]) -> dict[str, Any]:
        """What it asks for beside tokens."""
        draw, made, has = self._draw, self._made, self._has
        found: dict[str, Any] = {}
        if names.ADAPTERS in has:
            found["adapter"] = draw(made.of((None, *(f"a{number}" for number in range(_ADAPTERS)))))
        if names.GRAMMARS in has:
            found["grammar_steps"] = draw(made.of((None, None, 0, 1, 2, 5)))
        if names.LOGPROBS in has and draw(made.flag):
            length = sum(part.length for part in prompt)
            found["logprobs_from"] = draw(made.of((0, length // 2, length - 1)))
        return found

    def _turn(self) -> list[Operation]:
        """Open a session, or go on with one after some steps."""
        draw, made = self._draw, self._made
        own = Segment(seed=_OWN_SEED + len(self._submitted), length=self._length())
        last = self._last_turns
        open_ones = tuple(name for name, one in last.items() if self._may_go_on(one))
        if not open_ones or draw(made.integers(0, 3)) == 0:
            streams = names.STREAMING in self._has and draw(made.flag)
            session = Session(name=f"s{len(last)}", streams=streams)
            request = self._request((own,), session=session)
            wait: list[Operation] = []
        else:
            before = last[draw(made.of(open_ones))]
            assert before.session is not None, "every turn has a session"
            head = (*before.prompt, Segment(seed=None, length=before.max_new_tokens))
            session = replace(before.session, has_tokens=sum(part.length for part in head))
            request = self._request((*head, own), session=session, after=before.rid)
            wait = [Steps(count=draw(made.of((2, 4, 8, 12))))]
        last[session.name] = request
        return [*wait, Submit(request=request)]

    def _may_go_on(self, turn: Request) -> bool:
        """Whether another turn is likely to fit."""
        return 2 * (turn.prompt_tokens + turn.output_tokens) < self._engine.max_total_tokens

    def _prompt(self) -> tuple[Segment, ...]:
        draw, made = self._draw, self._made
        own = Segment(seed=_OWN_SEED + len(self._submitted), length=self._length())
        if names.SHARING not in self._has:
            return (own,)
        kind = draw(made.of(("own", "shared", "shared and own", "again", "next turn")))
        if kind == "shared" or kind == "shared and own":
            shared = Segment(seed=draw(made.integers(0, _SHARED_SEEDS - 1)), length=self._length())
            return (shared,) if kind == "shared" else (shared, own)
        if kind in ("again", "next turn") and self._shared:
            before: Request = self._shared[draw(made.integers(0, len(self._shared) - 1))]
            if kind == "again" or len(before.prompt) > 6:
                return before.prompt
            return (*before.prompt, Segment(seed=None, length=before.max_new_tokens), own)
        return (own,)

    def _length(self) -> int:
        """A number of tokens, often one at which something begins anew."""
        draw, made, engine = self._draw, self._made, self._engine
        page, chunk = engine.page_size, max(1, engine.chunked_prefill_size)
        edges = {1, 2, page - 1, page, page + 1, 2 * page, 5 * page + 1}
        if names.LONG_PROMPTS in self._has:
            edges |= {chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 1, 3 * chunk}
            edges |= {engine.max_total_tokens // part for part in (2, 3, 4, 8)}
        most = (
            min(max(chunk, 64) * 3, engine.max_total_tokens // 2) if names.LONG_PROMPTS in self._has else 48
        )
        return int(
            draw(made.of(tuple(sorted(edges - {0, -1})))) if draw(made.flag) else draw(made.integers(1, most))
        )

    def _levels(self) -> PressureLevels:
        draw, made, engine = self._draw, self._made, self._engine
        pages = engine.max_total_tokens // engine.page_size
        choices: dict[str, list[int]] = {
            "leave_pages": sorted({0, 1, 2, 4, pages // 16, pages // 8, pages // 4}),
            "leave_rows": list(range(engine.max_running_requests)),
        }
        if engine.radix_cache:
            choices["leave_refs"] = [0, 1, 2]
        self._choose_further(choices)
        # A level in most, two in some.
        chosen = draw(made.lists(tuple(sorted(choices)), 1, 2))
        levels = {name: draw(made.of(tuple(choices[name]))) for name in chosen}
        can_hold = self._can_hold_pages or not takes_pages(PressureLevels(**levels))
        return PressureLevels(held=draw(made.flag) and can_hold, **levels)

    def _choose_further(self, choices: dict[str, list[int]]) -> None:
        """Add the levels of what this engine has beside."""
        engine, has = self._engine, engine_features(self._engine)
        if names.HOST_TIER in has:
            choices["leave_host_pages"] = [0, 1, 2, engine.max_total_tokens // engine.page_size // 4]
        if names.LORA in has:
            slots = int(str(dict(engine.server_args)["max_loras_per_batch"]))
            choices["leave_lora_slots"] = [one for one in (1, 2, 3) if one < slots]
        if names.STATES_POOL in has:
            # A pinned node keeps its state, too: SGLang asserts that there is a slot where it needs one.
            choices.pop("leave_refs", None)
            choices["leave_mamba_slots"] = [
                SLOTS_PER_ROW * engine.max_running_requests + more for more in (0, 1, 2)
            ]

    @property
    def _can_hold_pages(self) -> bool:
        """Whether pages that come free may be taken again: see `_would_starve_chunk` of `play.py`."""
        return not has_chunks_without_parking(self._engine)
