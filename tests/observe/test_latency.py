"""What a client would have waited, on hand-made logs; the expected numbers are worked out beside each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.latency import GoodputLimits, RequestTimes, latency_metrics, request_times
from exhausters.observe.step_record import DECODE, IDLE, PREFILL, StepRecord

_SECOND = 1_000_000_000


def _step(mode: str, *rids: str, end: float, chunked: str | None = None) -> StepRecord:
    return StepRecord(step=0, mode=mode, rids=rids, chunked_rid=chunked, end_ns=round(end * _SECOND))


def _times(first: float, end: float, *, arrival: float = 0.0, outputs: int = 2) -> RequestTimes:
    return RequestTimes(
        arrival_ns=round(arrival * _SECOND),
        first_token_ns=round(first * _SECOND),
        end_ns=round(end * _SECOND),
        output_tokens=outputs,
    )


def test_times_of_two_requests() -> None:
    """First token at the end of the prefill, the rest by decodes; who finishes first is listed first."""
    log = DecisionLog(
        (
            _step(PREFILL, "a", "b", end=1.0),
            _step(IDLE, end=1.5),
            _step(DECODE, "a", "b", end=2.0),  # b has both of its tokens
            _step(DECODE, "a", end=4.0),
        )
    )
    b, a = request_times(log, arrival_ns={"a": _SECOND // 2, "b": 0}, wanted_outputs={"a": 3, "b": 2})
    assert (a.first_token_seconds, a.output_token_seconds, a.total_seconds) == (0.5, 1.5, 3.5)
    assert (b.first_token_seconds, b.output_token_seconds, b.total_seconds) == (1.0, 1.0, 2.0)


def test_a_chunk_emits_nothing() -> None:
    """The first token of a prompt prefilled in chunks comes with the last chunk."""
    log = DecisionLog(
        (
            _step(PREFILL, "a", "long", end=1.0, chunked="long"),
            _step(PREFILL, "long", end=2.0, chunked="long"),
            _step(PREFILL, "long", end=3.0),
        )
    )
    found = request_times(log, arrival_ns={"a": 0, "long": 0}, wanted_outputs={"a": 1, "long": 1})
    assert [(one.first_token_seconds, one.output_token_seconds) for one in found] == [
        (1.0, None),
        (3.0, None),
    ]


def test_a_decode_beside_a_parked_chunk_emits() -> None:
    """A decode step emits for all of its requests whatever the chunked request is."""
    log = DecisionLog((_step(PREFILL, "a", end=1.0), _step(DECODE, "a", end=2.0, chunked="long")))
    (only,) = request_times(log, arrival_ns={"a": 0, "long": 0}, wanted_outputs={"a": 2, "long": 1})
    assert only.total_seconds == 2.0


def test_prefill_after_a_retraction_emits_the_next_token() -> None:
    """A retracted request keeps its first token's time, and its second prefill emits one more token."""
    log = DecisionLog(
        (_step(PREFILL, "a", end=1.0), _step(DECODE, "a", end=2.0), _step(PREFILL, "a", end=9.0))
    )
    (only,) = request_times(log, arrival_ns={"a": 0}, wanted_outputs={"a": 3})
    assert (only.first_token_seconds, only.output_token_seconds, only.total_seconds) == (1.0, 4.0, 9.0)


def test_a_dropped_token_is_emitted_again() -> None:
    """A token that the overlap loop drops at a retraction counts neither as the first nor as the last."""
    log = DecisionLog(
        (
            _step(PREFILL, "a", end=1.0),
            replace(_step(IDLE, end=2.0), retracted_rids=("a",), dropped_rids=("a",)),
            _step(PREFILL, "a", end=3.0),
            _step(DECODE, "a", end=4.0),
        )
    )
    (only,) = request_times(log, arrival_ns={"a": 0}, wanted_outputs={"a": 2})
    assert (only.first_token_seconds, only.total_seconds) == (3.0, 4.0)


def test_unknown_arrivals_are_left_out() -> None:
    """Without its arrival a request has no latency, rather than one since the start."""
    log = DecisionLog((_step(PREFILL, "a", end=1.0),))
    assert request_times(log, arrival_ns={}, wanted_outputs={"a": 1}) == []


def test_unfinished_requests_have_no_times() -> None:
    """What did not emit all its tokens is left out, and a run of nothing but that has no percentiles."""
    log = DecisionLog((_step(PREFILL, "a", end=1.0),))
    assert request_times(log, arrival_ns={"a": 0}, wanted_outputs={"a": 2}) == []
    found = latency_metrics([], duration_ns=_SECOND, requests=1)
    assert found.pop("goodput_requests_per_second") == 0.0
    assert found.pop("goodput_share") == 0.0
    assert set(found.values()) == {None}


def test_tokens_past_the_end_do_not_move_it() -> None:
    """A decode past a request's last token, as overlap makes it, changes neither its end nor its count."""
    log = DecisionLog(
        (_step(PREFILL, "a", end=1.0), _step(DECODE, "a", end=2.0), _step(DECODE, "a", end=3.0))
    )
    (only,) = request_times(log, arrival_ns={"a": 0}, wanted_outputs={"a": 2})
    assert (only.end_ns, only.output_tokens) == (2 * _SECOND, 2)


def test_metrics_are_nearest_ranks() -> None:
    """Percentiles are values that occurred: of three the median is the second, the 99th the last."""
    times = [_times(3, 4), _times(1, 8), _times(2, 2, outputs=1)]
    found = latency_metrics(times, duration_ns=4 * _SECOND, requests=3)
    assert found == {
        "time_to_first_token_p50_seconds": 2.0,
        "time_to_first_token_p99_seconds": 3.0,
        "time_per_output_token_p50_seconds": 1.0,  # of 1.0 and 7.0; one token has none
        "time_per_output_token_p99_seconds": 7.0,
        "end_to_end_p50_seconds": 4.0,
        "end_to_end_p99_seconds": 8.0,
        # The third alone keeps both limits: its first token after 2 s, the limit itself.
        "goodput_share": 1 / 3,
        "goodput_requests_per_second": 0.25,
    }


@pytest.mark.parametrize(
    ("first", "end", "outputs", "good"),
    [(1.0, 1.2, 3, True), (1.0, 1.201, 3, False), (1.001, 1.1, 3, False), (1.0, 99.0, 1, True)],
)
def test_goodput_needs_both_limits(first: float, end: float, outputs: int, good: bool) -> None:
    """A request is good when first token and mean output token are both within the limits, ends included."""
    limits = GoodputLimits(first_token_seconds=1.0, output_token_seconds=0.1)
    times = [_times(first, end, outputs=outputs)]
    found = latency_metrics(times, duration_ns=2 * _SECOND, requests=1, limits=limits)
    assert found["goodput_requests_per_second"] == (0.5 if good else 0.0)


def test_no_time_no_rate() -> None:
    """A run that took no modelled time has no goodput rather than an infinite one."""
    assert latency_metrics([_times(0, 0)], duration_ns=0, requests=1)["goodput_requests_per_second"] is None


def test_unfinished_requests_are_not_good() -> None:
    """Goodput is the share of all requests of the workload: one of two that never finished halves it."""
    found = latency_metrics(
        [_times(1, 2)],
        duration_ns=2 * _SECOND,
        requests=2,
        limits=GoodputLimits(first_token_seconds=1.0, output_token_seconds=1.0),
    )
    assert (found["goodput_share"], found["goodput_requests_per_second"]) == (0.5, 0.5)


def test_unknown_arrivals_give_no_goodput() -> None:
    """Where no arrival is known nothing is late or in time, so there is no goodput, not even 0."""
    found = latency_metrics([], duration_ns=_SECOND, requests=0)
    assert set(found.values()) == {None}
