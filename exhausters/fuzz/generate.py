"""Draws scripts by hypothesis; only the parent imports this.

Hypothesis draws, and nothing else: what breaks a promise is cut down by `shrink.py`, because a script is
played together with others, on an engine that must be booted, and its switches shrink too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from exhausters.errors import UsageError
from exhausters.fuzz import features as names
from exhausters.fuzz.features import (
    SCRIPT_FEATURES,
    engine_features,
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
from exhausters.scripted.judged_run import STAGES
from exhausters.sweep.cell import EngineSettings
from exhausters.workloads import Request, Segment

# Seeds of segments that several prompts may share; a prompt's own part is named by its request.
_SHARED_SEEDS = 3
_OWN_SEED = 1_000
_FEWEST, _MOST = 4, 16
_LONGEST_BURST = 5
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
}


def draw_scripts(engine: EngineSettings, *, seed: int, count: int) -> list[tuple[FuzzScript, frozenset[str]]]:
    """Return scripts for one engine, each with the features that it has; the same for the same seed.

    The first example of hypothesis is its simplest one in every run, and is left out.

    Raises:
        UsageError: hypothesis is not installed.
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
    try:
        import hypothesis
    except ImportError as error:
        raise UsageError(
            "fuzz draws its scripts with hypothesis, which is not installed: "
            "python -m pip install 'sglang-exhausters[fuzz]'"
        ) from error
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

    def script(self) -> tuple[FuzzScript, frozenset[str]]:
        """Draw which features it has, then its operations."""
        made = self._made
        chosen = self._draw(made.flags(len(SCRIPT_FEATURES)))
        self._has = frozenset(
            name for name, is_in in zip(SCRIPT_FEATURES, chosen, strict=True) if is_in
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
        stage = draw(made.of((None, *STAGES)))
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
        draw, made = self._draw, self._made
        prompt = self._prompt()
        outputs = (1, 2, 3, 4, 5, 8) + ((16, 32, 64) if names.LONG_OUTPUTS in self._has else ())
        request = Request(
            rid=f"r{len(self._submitted)}",
            arrival_seconds=0.0,
            prompt=prompt,
            max_new_tokens=draw(made.of(outputs)),
            priority=draw(made.of((None, 0, 1, 5))) if names.PRIORITY in self._has else None,
            ignore_eos=names.ALL_OUTPUTS in self._has and draw(made.flag),
        )
        self._submitted.append(request)
        return [Submit(request=request)]

    def _prompt(self) -> tuple[Segment, ...]:
        draw, made = self._draw, self._made
        own = Segment(seed=_OWN_SEED + len(self._submitted), length=self._length())
        if names.SHARING not in self._has:
            return (own,)
        kind = draw(made.of(("own", "shared", "shared and own", "again", "next turn")))
        if kind == "shared" or kind == "shared and own":
            shared = Segment(seed=draw(made.integers(0, _SHARED_SEEDS - 1)), length=self._length())
            return (shared,) if kind == "shared" else (shared, own)
        if kind in ("again", "next turn") and self._submitted:
            before: Request = self._submitted[draw(made.integers(0, len(self._submitted) - 1))]
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
        # A level in most, two in some.
        chosen = draw(made.lists(tuple(sorted(choices)), 1, 2))
        levels = {name: draw(made.of(tuple(choices[name]))) for name in chosen}
        can_hold = self._can_hold_pages or not takes_pages(PressureLevels(**levels))
        return PressureLevels(held=draw(made.flag) and can_hold, **levels)

    @property
    def _can_hold_pages(self) -> bool:
        """Whether pages that come free may be taken again: see `_would_starve_chunk` of `play.py`."""
        return not has_chunks_without_parking(self._engine)
