"""What is drawn: the same for the same seed, and without a random part of the features."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from exhausters.errors import UsageError
from exhausters.fuzz.features import (
    ABORTS,
    ADAPTERS,
    CHUNK,
    DRAFTS,
    FORCED_RETRACTION,
    GRAMMARS,
    HOST_TIER,
    LOGPROBS,
    LORA,
    MIXED_CHUNK,
    PAUSES,
    PREEMPTION,
    PRESSURE,
    PRIORITY,
    SCRIPT_FEATURES,
    SESSIONS,
    STATES_POOL,
    STREAMING,
    WINDOW,
    block_size,
    draw_engine,
    engine_features,
    further_features,
    without_switches,
)
from exhausters.fuzz.generate import draw_scripts
from tests.fuzz.in_process import ENGINE

_OPERATIONS_OF = {
    ABORTS: {"abort"},
    PAUSES: {"pause", "resume"},
    PRESSURE: {"exhaust", "release"},
    "flushes": {"flush"},
}


def test_a_seed_is_a_script() -> None:
    """Engines and scripts are those of their seed, whatever was drawn before; another seed gives others."""
    once = [one.digest for one, _ in draw_scripts(ENGINE, seed=3, count=12)]
    draw_scripts(ENGINE, seed=4, count=5)
    assert [one.digest for one, _ in draw_scripts(ENGINE, seed=3, count=12)] == once
    assert not set(once) & {one.digest for one, _ in draw_scripts(ENGINE, seed=4, count=12)}
    assert draw_engine(1, 2) == draw_engine(1, 2)
    assert len({draw_engine(1, number) for number in range(12)}) > 8


def test_each_script_leaves_features_out() -> None:
    """Each feature is in some scripts and left out of others, and with it its operations."""
    drawn = draw_scripts(ENGINE, seed=1, count=80)
    has = Counter(name for _, features in drawn for name in features)
    for feature in SCRIPT_FEATURES:
        assert 0 < has[feature] < len(drawn), feature
    for one, features in drawn:
        used = {str(values["op"]) for values in one.to_json()}
        for feature, operations in _OPERATIONS_OF.items():
            assert feature in features or not used & operations


def test_engines_have_each_feature_sometimes() -> None:
    """Of a hundred engines each feature of engines is in some, and none in all; what needs another has it."""
    engines = [engine_features(draw_engine(0, number)) for number in range(100)]
    counts = Counter(name for features in engines for name in features)
    assert counts[WINDOW]
    assert counts[PREEMPTION]
    assert all(0 < count < 100 for count in counts.values())
    assert all(CHUNK in one for one in engines if MIXED_CHUNK in one)
    assert all(PRIORITY in one for one in engines if PREEMPTION in one)


def test_a_small_campaign_has_every_pool() -> None:
    """Of the twelve engines of a thousand scripts six have one of five further pools, whatever the seed."""
    kinds = {HOST_TIER, STATES_POOL, DRAFTS, LORA, STREAMING}
    for seed in range(20):
        found = [kinds & engine_features(draw_engine(seed, number)) for number in range(12)]
        assert sorted(map(len, found)) == [0] * 6 + [1] * 6
        assert set().union(*found) == kinds


def test_scripts_ask_for_what_their_engine_has() -> None:
    """Adapters, grammars, log-probabilities and sessions are in some scripts of an engine that takes them."""
    engines = {further_features(draw_engine(0, number)): draw_engine(0, number) for number in range(24)}
    assert set().union(*engines) == {ADAPTERS, GRAMMARS, LOGPROBS, SESSIONS}
    asked = {ADAPTERS: "adapter", GRAMMARS: "grammar_steps", LOGPROBS: "logprobs_from", SESSIONS: "session"}
    for further, engine in engines.items():
        drawn = draw_scripts(engine, seed=1, count=30)
        used = {key for one, _ in drawn for values in one.to_json() for key in values}
        assert used & set(asked.values()) == {asked[name] for name in further}


def test_a_small_campaign_forces_retractions() -> None:
    """Whatever its seed, two of the twelve engines of a thousand scripts force retractions."""
    for seed in range(20):
        forced = [FORCED_RETRACTION in engine_features(draw_engine(seed, number)) for number in range(12)]
        assert forced.count(True) == 2


def test_switches_run_out() -> None:
    """Removing switches ends, at an engine that has none of them left."""
    for number in range(30):
        engine = draw_engine(2, number)
        removed = 0
        while fewer := without_switches(engine):
            engine, removed = fewer[-1], removed + 1
            assert removed < 20
        assert engine_features(engine) - {CHUNK} == {"radix cache"}


def test_boots_are_few() -> None:
    """A thousand scripts are played on about twelve engines, ten thousand on sixty at most."""
    assert -(-1000 // block_size(1000)) == 12
    assert -(-10_000 // block_size(10_000)) <= 60


def test_without_hypothesis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where hypothesis is not installed the error says how to install it."""
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(UsageError, match=r"sglang-exhausters\[fuzz\]"):
        draw_scripts(ENGINE, seed=0, count=1)
