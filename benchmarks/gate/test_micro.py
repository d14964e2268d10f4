"""How three operations on the real tree scale, without a grid: pinning, matching, evicting.

Each runs in a worker as a script that times itself in CPU time of the scheduler's thread; filling the tree is
not in it. One round that is not recorded warms the worker up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from exhausters.errors import ExhaustersError
from exhausters.gate_suite.benchmark_info import axes_of_micro, info_of_micro
from exhausters.gate_suite.cpu_timer import scheduler_cpu_seconds, spend
from exhausters.gate_suite.measured_cells import Bench, repeat
from exhausters.gate_suite.scripts import time_evicting, time_matching, time_pinning
from exhausters.sweep.cell import EngineSettings

# Room for the largest tree, and batches large enough to fill it in few steps.
ENGINE = EngineSettings(max_total_tokens=40_960, chunked_prefill_size=2_048)
LEAVES = (64, 256, 1_024)
TOKENS = (256, 1_024, 4_096)


@pytest.mark.benchmark(group="micro_pin", timer=scheduler_cpu_seconds)
@pytest.mark.parametrize("leaves", LEAVES)
def test_pin_leaves(benchmark: Any, bench: Bench, leaves: int, rounds: int) -> None:
    """Pinning every leaf of a tree."""
    time_script(benchmark, bench, "pin", time_pinning, ("leaves", leaves), rounds)


@pytest.mark.benchmark(group="micro_match", timer=scheduler_cpu_seconds)
@pytest.mark.parametrize("tokens", TOKENS)
def test_match_prefix(benchmark: Any, bench: Bench, tokens: int, rounds: int) -> None:
    """All matches that the scheduler makes for one prompt that the tree holds."""
    time_script(benchmark, bench, "match", time_matching, ("tokens", tokens), rounds)


@pytest.mark.benchmark(group="micro_evict", timer=scheduler_cpu_seconds)
@pytest.mark.parametrize("leaves", LEAVES)
def test_evict_leaves(benchmark: Any, bench: Bench, leaves: int, rounds: int) -> None:
    """Making room for 256 tokens in a tree of that many leaves."""
    time_script(benchmark, bench, "evict", time_evicting, ("leaves", leaves), rounds)


def time_script(
    benchmark: Any,
    bench: Bench,
    name: str,
    script: Callable[..., Any],
    size: tuple[str, int],
    rounds: int,
) -> None:
    """Time one script; what was done in it must be the same in every round."""
    seen: list[dict[str, int]] = []
    reasons: list[str] = []
    once = repeat(bench, ENGINE, script, size[1])

    def play() -> None:
        if reasons:
            return spend(0.0)
        try:
            timed = once()
        except ExhaustersError as error:
            reasons.append(f"{type(error).__name__}: {error}".split("\n", 1)[0])
            return spend(0.0)
        seen.append(timed.facts)
        return spend(timed.seconds)

    # pytest-benchmark would write the size only; the axes are what one groups by.
    benchmark.params = axes_of_micro(bench.grid, ENGINE, name, size)
    benchmark.pedantic(play, rounds=rounds, warmup_rounds=1)
    if not reasons and any(facts != seen[0] for facts in seen):
        reasons.append(f"rounds differ: {seen}")
    reason = reasons[0] if reasons else ""
    benchmark.extra_info.update(info_of_micro(bench, ENGINE, name, size, seen[0] if seen else {}, reason))
    if reason:
        pytest.fail(reason, pytrace=False)
