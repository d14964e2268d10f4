"""Swarm testing: each engine and each script leaves out a random part of the features.

What is in every script hides what only some show: a test that always aborts never sees what happens when
nobody does. The idea is that of Groce et al., "Swarm Testing" (ISSTA 2012).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from exhausters.engine.settings import MODELS
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import EngineSettings

# Of an engine: they cost a boot.
OVERLAP, PAGES, CHUNK, MIXED_CHUNK = "overlap", "pages", "chunk", "mixed chunk"
PRIORITY, PREEMPTION, WINDOW = "priority", "preemption", "window"
RADIX_CACHE, FORCED_RETRACTION, LPM = "radix cache", "forced retraction", "longest prefix first"
# Of a script.
ABORTS, PAUSES, PRESSURE, SHARING = "aborts", "pauses", "pressure", "sharing"
FLUSHES, LONG_OUTPUTS, LONG_PROMPTS, ALL_OUTPUTS = "flushes", "long outputs", "long prompts", "all outputs"
SCRIPT_FEATURES = (ABORTS, PAUSES, PRESSURE, SHARING, FLUSHES, LONG_OUTPUTS, LONG_PROMPTS, ALL_OUTPUTS)

# A switch of SGLang's, read where it is imported.
_FORCED_RETRACTION = "SGLANG_TEST_RETRACT"
# Without the switch hardly anything is retracted twice: a campaign of 1,000 scripts has two such engines.
_FORCED_EVERY = 6
_NO_PREEMPTION = "disable_priority_preemption"
# Models whose text depends on what is in the KV pool, where there are any; else those that emit one token.
_MODELS, _WINDOW_MODELS = ("canary", "dense"), ("canary_hybrid_swa", "hybrid_swa")
# Few rows and a small pool: what is scarce is reached by few requests.
_ROWS, _POOL_TOKENS, _CHUNKS, _PAGES = (3, 4, 8), (512, 1024, 2048), (32, 64, 128), (4, 16)
# Scripts for one boot, which costs as much as a hundred of them. A long campaign plays more on each: further
# engines add less than further scripts do.
_SCRIPTS_PER_ENGINE, _MOST_ENGINES = 84, 60
# A campaign without an end does not know how long it is.
_ENDLESS = 1_000_000

# What is left when every switch that can be removed is removed.
PLAIN = EngineSettings(page_size=1, overlap=False)


def block_size(scripts: int) -> int:
    """Return how many scripts are played on one engine, in a campaign of so many."""
    if scripts >= _ENDLESS:
        return _SCRIPTS_PER_ENGINE
    return max(_SCRIPTS_PER_ENGINE, -(-scripts // _MOST_ENGINES))


def draw_engine(seed: int, number: int) -> EngineSettings:
    """Return the engine settings number `number` of a campaign; the same on every machine."""
    draw = random.Random(f"engine:{seed}:{number}")  # noqa: S311  nothing here is a secret
    has_window, has_chunk, has_priority = draw.random() < 0.25, draw.random() < 0.8, draw.random() < 0.3
    page = draw.choice(_PAGES) if draw.random() < 0.5 else 1
    settings = EngineSettings(
        page_size=page,
        overlap=draw.random() < 0.5,
        chunked_prefill_size=max(page, draw.choice(_CHUNKS)) if has_chunk else -1,
        mixed_chunk=has_chunk and draw.random() < 0.3,
        radix_cache=draw.random() < 0.85,
        policy=draw.choice(("fcfs", "fcfs", "lpm")),
        max_running_requests=draw.choice(_ROWS),
        max_total_tokens=draw.choice(_POOL_TOKENS),
        priority_scheduling=has_priority,
        model=next(one for one in (_WINDOW_MODELS if has_window else _MODELS) if one in tuple(MODELS)),
    )
    if has_priority:
        # With priorities SGLang orders by them, first come first served among equals.
        is_preempting = draw.random() < 0.6
        settings = replace(settings, policy="fcfs", server_args=((_NO_PREEMPTION, not is_preempting),))
    if number % _FORCED_EVERY == _FORCED_EVERY - 1:
        settings = replace(settings, env=((_FORCED_RETRACTION, "1"),))
    return settings


def engine_features(engine: EngineSettings) -> frozenset[str]:
    """Return the features that an engine has."""
    preempts = engine.priority_scheduling and dict(engine.server_args).get(_NO_PREEMPTION) is not True
    has = {
        OVERLAP: engine.overlap,
        PAGES: engine.page_size > 1,
        CHUNK: engine.chunked_prefill_size > 0,
        MIXED_CHUNK: engine.mixed_chunk,
        PRIORITY: engine.priority_scheduling,
        PREEMPTION: preempts,
        WINDOW: engine.model in _WINDOW_MODELS,
        RADIX_CACHE: engine.radix_cache,
        FORCED_RETRACTION: _FORCED_RETRACTION in dict(engine.env),
        LPM: engine.policy == "lpm",
    }
    return frozenset(name for name, value in has.items() if value)


def has_chunks_without_parking(engine: EngineSettings) -> bool:
    """Whether chunks of this engine must find the pages that were free when their request was admitted.

    SGLang parks a chunk of a model with a window that finds no page. Of a dense one it computes the whole
    chunk all the same, and ends when the pages are not there.
    """
    return engine.chunked_prefill_size > 0 and engine.model not in _WINDOW_MODELS


def takes_pages(levels: PressureLevels) -> bool:
    """Whether these levels take pages that could be had: free ones, or those of the cache by pinning it."""
    return levels.leave_pages is not None or levels.leave_refs is not None


def without_switches(engine: EngineSettings) -> Sequence[EngineSettings]:
    """Return the settings with one switch less each, those first that explain least when they stay."""
    plain: dict[str, object] = {
        "env": (),
        "server_args": (),
        "model": PLAIN.model,
        "mixed_chunk": False,
        "policy": PLAIN.policy,
        "page_size": PLAIN.page_size,
        "overlap": PLAIN.overlap,
        "radix_cache": True,
    }
    found = [replace(engine, **{name: value}) for name, value in plain.items()]  # type: ignore[arg-type]
    if engine.priority_scheduling:
        found.insert(2, replace(engine, priority_scheduling=False, server_args=()))
    return [one for one in found if one != engine]
