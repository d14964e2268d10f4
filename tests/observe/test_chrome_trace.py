"""The Chrome trace of a decision log."""

from __future__ import annotations

import json
from typing import Any

from exhausters.observe.chrome_trace import chrome_trace
from exhausters.observe.step_record import DECODE, IDLE, PREFILL, StepRecord

_MS = 1_000_000


def _step(step: int, mode: str, **facts: Any) -> StepRecord:
    return StepRecord(step=step, mode=mode, forward_ns=_MS, end_ns=(step + 1) * _MS, **facts)


_STEPS = (
    _step(0, PREFILL, rids=("a",), tokens=(256,), prefix_tokens=(16,), chunked_rid="a"),
    _step(1, PREFILL, rids=("a", "b"), tokens=(44, 20), prefix_tokens=(272, 0), evict_calls=1),
    _step(2, DECODE, rids=("a", "b"), tokens=(1, 1), free_tokens=512),
    _step(3, DECODE, rids=("a", "b"), tokens=(1, 1)),
    _step(4, DECODE, rids=("a",), tokens=(1,), retracted_rids=("b",)),
    _step(5, IDLE),
)


def _events(**wanted: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = chrome_trace(_STEPS, title="run")["traceEvents"]
    return [one for one in found if all(one.get(name) == value for name, value in wanted.items())]


def test_a_step_with_a_forward_is_a_slice_of_its_modelled_time() -> None:
    """Batches are slices that begin where the step before ended; idle steps are gaps."""
    batches = _events(ph="X", pid=1, tid=1)
    assert [one["name"] for one in batches] == [PREFILL, PREFILL, DECODE, DECODE, DECODE]
    assert [(one["ts"], one["dur"]) for one in batches[:2]] == [(0.0, 1000.0), (1000.0, 1000.0)]


def test_a_request_has_a_track_with_its_chunks_and_one_slice_for_each_run_of_decodes() -> None:
    """Neighbouring decode steps of a request are one slice; a retraction ends it and leaves a mark."""
    tracks = {one["args"]["name"]: one["tid"] for one in _events(ph="M", name="thread_name", pid=2)}
    assert list(tracks) == ["a", "b"]
    first = [(one["name"], one["ts"], one["dur"]) for one in _events(ph="X", pid=2, tid=tracks["a"])]
    assert first == [
        ("prefill chunk", 0.0, 1000.0),
        ("prefill", 1000.0, 1000.0),
        ("decode", 2000.0, 3000.0),
    ]
    second = [(one["name"], one["dur"]) for one in _events(ph="X", pid=2, tid=tracks["b"])]
    assert second == [("prefill", 1000.0), ("decode", 2000.0)]
    assert [one["ts"] for one in _events(name="retract", tid=tracks["b"])] == [4000.0]


def test_pools_are_counters_and_evictions_are_marks() -> None:
    """Every step has a value of each counter; only steps that evict have a mark."""
    counted = [one["args"]["free"] for one in _events(ph="C", name="KV tokens")]
    assert counted == [0, 0, 512, 0, 0, 0]
    assert [one["args"]["step"] for one in _events(name="evict")] == [1]


def test_the_trace_is_json() -> None:
    """What is returned can be written as it is."""
    assert json.loads(json.dumps(chrome_trace(_STEPS, title="run")))["traceEvents"]
