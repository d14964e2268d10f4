"""Swarm testing: each engine and each script leaves out a random part of the features.

What is in every script hides what only some show: a test that always aborts never sees what happens when
nobody does. The idea is that of Groce et al., "Swarm Testing" (ISSTA 2012).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from exhausters.engine.settings import MAMBA_MODELS, MODELS
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.free_axes import FreeValue

# Of an engine: they cost a boot.
OVERLAP, PAGES, CHUNK, MIXED_CHUNK = "overlap", "pages", "chunk", "mixed chunk"
PRIORITY, PREEMPTION, WINDOW = "priority", "preemption", "window"
RADIX_CACHE, FORCED_RETRACTION, LPM = "radix cache", "forced retraction", "longest prefix first"
HOST_TIER, STATES_POOL, DRAFTS = "host tier", "recurrent states", "drafts"
LORA, STREAMING = "adapter slots", "streaming sessions"
# Of a script.
ABORTS, PAUSES, PRESSURE, SHARING = "aborts", "pauses", "pressure", "sharing"
FLUSHES, LONG_OUTPUTS, LONG_PROMPTS, ALL_OUTPUTS = "flushes", "long outputs", "long prompts", "all outputs"
SCRIPT_FEATURES = (ABORTS, PAUSES, PRESSURE, SHARING, FLUSHES, LONG_OUTPUTS, LONG_PROMPTS, ALL_OUTPUTS)
# Of a script on an engine that has one of `_KINDS`: the others draw what they drew before these came.
ADAPTERS, GRAMMARS, LOGPROBS, SESSIONS = "adapters", "grammars", "log-probabilities", "sessions"

# A switch of SGLang's, read where it is imported.
_FORCED_RETRACTION = "SGLANG_TEST_RETRACT"
# Without the switch hardly anything is retracted twice: a campaign of 1,000 scripts has two such engines.
_FORCED_EVERY = 6
_NO_PREEMPTION = "disable_priority_preemption"
# Models whose text depends on what is in the KV pool, where there are any; else those that emit one token.
_MODELS, _WINDOW_MODELS = ("canary", "dense"), ("canary_hybrid_swa", "hybrid_swa")
# Few rows and a small pool: what is scarce is reached by few requests.
_ROWS, _POOL_TOKENS, _CHUNKS, _PAGES = (3, 4, 8), (512, 1024, 2048), (32, 64, 128), (4, 16)
# What three of six engines have beside, one of these each, in this order; and what their scripts may ask for.
_KINDS: Mapping[str, tuple[str, ...]] = {
    HOST_TIER: (GRAMMARS, LOGPROBS, SESSIONS),
    STATES_POOL: (GRAMMARS, LOGPROBS, SESSIONS),
    DRAFTS: (),
    LORA: (ADAPTERS, GRAMMARS, LOGPROBS),
    STREAMING: (GRAMMARS, SESSIONS),
}
_KIND_EVERY, _KIND_AT = 6, (1, 2, 3)
_WRITE_POLICIES = ("write_through", "write_through_selective", "write_back")
_ACCEPTED = ("all", "random:1,0.6", "constant:0", "constant:1")
_STATES_MODEL = "canary_hybrid_mamba"
# At multiples of these a prefill keeps a state.
_STATE_EVERY_TOKENS = 64
# SGLang asserts that a slot is free when it needs one: so many for each row, and as many to cache.
SLOTS_PER_ROW = 5
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
    return settings if number % _KIND_EVERY not in _KIND_AT else _with_kind(settings, seed, number)


def _with_kind(engine: EngineSettings, seed: int, number: int) -> EngineSettings:
    """Return the settings with what engine `number` has of `_KINDS`, and without what does not go with it."""
    draw = random.Random(f"kind:{seed}:{number}")  # noqa: S311  nothing here is a secret
    turn = number // _KIND_EVERY * len(_KIND_AT) + _KIND_AT.index(number % _KIND_EVERY)
    kind = tuple(_KINDS)[turn % len(_KINDS)]
    args: dict[str, FreeValue] = dict(engine.server_args)
    if kind == HOST_TIER:
        args |= {"enable_hierarchical_cache": True, "hicache_ratio": 2.0}
        args["hicache_write_policy"] = draw.choice(_WRITE_POLICIES)
        engine = replace(engine, radix_cache=True)
    elif kind == STATES_POOL:
        # With pages of one token and the normal loop a request has one slot; else SGLang takes more.
        args["max_mamba_cache_size"] = 2 * SLOTS_PER_ROW * engine.max_running_requests
        chunk = engine.chunked_prefill_size
        engine = replace(
            engine,
            model=_STATES_MODEL,
            mixed_chunk=False,
            radix_cache=True,
            chunked_prefill_size=max(_STATE_EVERY_TOKENS, chunk) if chunk > 0 else chunk,
        )
    elif kind == DRAFTS:
        drafts = draw.choice((1, 2, 3))
        args |= {"speculative_algorithm": draw.choice(("EAGLE", "NGRAM"))}
        args["speculative_num_draft_tokens"] = drafts + 1
        if args["speculative_algorithm"] == "EAGLE":
            args["speculative_num_steps"] = drafts
        engine = replace(engine, model="canary", mixed_chunk=False, speculative_accept=draw.choice(_ACCEPTED))
    elif kind == LORA:
        args |= {"enable_lora": True, "max_loras_per_batch": draw.choice((2, 3, 4))}
    else:
        args["enable_streaming_session"] = True
        engine = replace(engine, model="canary", radix_cache=True)
    return replace(engine, server_args=tuple(args.items()))


def further_features(engine: EngineSettings) -> tuple[str, ...]:
    """Return what scripts on this engine may have beside `SCRIPT_FEATURES`."""
    has = engine_features(engine)
    return next((further for kind, further in _KINDS.items() if kind in has), ())


def engine_features(engine: EngineSettings) -> frozenset[str]:
    """Return the features that an engine has."""
    args = dict(engine.server_args)
    preempts = engine.priority_scheduling and args.get(_NO_PREEMPTION) is not True
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
        HOST_TIER: "enable_hierarchical_cache" in args,
        STATES_POOL: engine.model in MAMBA_MODELS,
        DRAFTS: "speculative_algorithm" in args,
        LORA: "enable_lora" in args,
        STREAMING: "enable_streaming_session" in args,
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
        "speculative_accept": "",
        "model": PLAIN.model,
        "mixed_chunk": False,
        "policy": PLAIN.policy,
        "page_size": PLAIN.page_size,
        "overlap": PLAIN.overlap,
        "radix_cache": True,
    }
    found = [replace(engine, **{name: value}) for name, value in plain.items()]  # type: ignore[arg-type]
    if engine.speculative_accept:
        found.insert(1, replace(engine, server_args=(), speculative_accept=""))
    if engine.priority_scheduling:
        found.insert(2, replace(engine, priority_scheduling=False, server_args=()))
    return [one for one in found if one != engine]
