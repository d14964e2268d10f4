"""Free axes on the newest release: switches have their effect, and what SGLang refuses is an outcome."""

from __future__ import annotations

import pytest

from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.record import DRAINED, UNSUPPORTED, RunRecord
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.runner import SweepOptions, sweep
from tests.conftest import newest_release
from tests.sweep.samples import a_grid

pytestmark = pytest.mark.real


def _swept(grid: Grid) -> tuple[RunRecord, ...]:
    options = SweepOptions(run=RunOptions(count_work=False))
    return sweep(newest_release(), grid, options, executor=LocalExecutor(workers=1))


def test_a_switch_and_a_variable_reach_the_scheduler() -> None:
    """A smaller prefill budget makes smaller batches; a variable changes how many requests are retracted."""
    small, large = _swept(a_grid(server_args={"max_prefill_tokens": [64, 1024]}, chunked_prefill_size=[-1]))
    assert (small.result.outcome, large.result.outcome) == (DRAINED, DRAINED)
    tokens = [one.result.metrics["tokens_per_prefill_batch"] or 0.0 for one in (small, large)]
    assert tokens[0] < tokens[1]
    few, many = _swept(
        a_grid(workload=["retraction_storm"], env={"SGLANG_INIT_NEW_TOKEN_RATIO": ["1.0", "0.1"]})
    )
    assert (few.result.metrics["retractions"] or 0) < (many.result.metrics["retractions"] or 0)


def test_what_it_lacks_or_refuses_is_unsupported() -> None:
    """An unknown switch, a value that is no choice and an unknown policy end with SGLang's own reason."""
    unknown = _swept(a_grid(server_args={"no_such_switch": [1]}))
    refused = _swept(a_grid(server_args={"retraction_policy": ["nonsense", "priority"]}))
    policy = _swept(a_grid(policy=["best"]))
    assert {one.result.outcome for one in (*unknown, *refused, *policy)} == {UNSUPPORTED}
    reasons = [one.result.reason for one in (*unknown, *refused, *policy)]
    assert reasons[0] == "server_args.no_such_switch=1: this SGLang has no such switch"
    assert "invalid choice: 'nonsense'" in reasons[1]
    assert "requires --enable-priority-scheduling" in reasons[2]
    assert reasons[3].startswith("policy=best: this SGLang refuses it: ValueError: Unknown schedule_policy")


def test_a_variable_that_it_never_names_is_unsupported() -> None:
    """A misspelled variable would change nothing, and its cells would pass for others."""
    (misspelled,) = _swept(a_grid(env={"SGLANG_INIT_NEW_TOKEN_RATIOS": ["0.3"]}))
    assert misspelled.result.outcome == UNSUPPORTED
    assert misspelled.result.reason == (
        "env.SGLANG_INIT_NEW_TOKEN_RATIOS=0.3: no file of this SGLang names it, so nothing would read it"
    )
