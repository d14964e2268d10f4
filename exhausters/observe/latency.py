"""Latencies that clients would see, in modelled time, from a decision log and arrival times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.emitted_tokens import emissions
from exhausters.observe.quantile import percentile

Value = float | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodputLimits:
    """A request counts towards goodput when it keeps both.

    Attributes:
        first_token_seconds: time to first token.
        output_token_seconds: mean time per output token after the first.
    """

    first_token_seconds: float = 2.0
    output_token_seconds: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTimes:
    """One request that finished.

    Attributes:
        arrival_ns, first_token_ns, end_ns: modelled times since the start of the run.
        output_tokens: tokens emitted.
    """

    arrival_ns: int
    first_token_ns: int
    end_ns: int
    output_tokens: int

    @property
    def first_token_seconds(self) -> float:
        """Time to first token."""
        return (self.first_token_ns - self.arrival_ns) / 1e9

    @property
    def output_token_seconds(self) -> float | None:
        """Mean time per output token after the first; None for a single token."""
        if self.output_tokens < 2:
            return None
        return (self.end_ns - self.first_token_ns) / 1e9 / (self.output_tokens - 1)

    @property
    def total_seconds(self) -> float:
        """End to end."""
        return (self.end_ns - self.arrival_ns) / 1e9

    def keeps(self, limits: GoodputLimits) -> bool:
        """Whether both limits are kept."""
        each = self.output_token_seconds
        return self.first_token_seconds <= limits.first_token_seconds and (
            each is None or each <= limits.output_token_seconds
        )


def request_times(
    log: DecisionLog, *, arrival_ns: Mapping[str, int], wanted_outputs: Mapping[str, int]
) -> list[RequestTimes]:
    """Return the times of every request that emitted all its tokens, in order of finishing.

    Tokens count at the end of the step that computes them (see `emissions`); after a retraction, the prefill
    of what was thrown away emits the next one. Requests whose arrival is not known are left out.
    """
    first: dict[str, int] = {}
    outputs: dict[str, int] = {}
    finished: list[RequestTimes] = []
    for record, emitting in emissions(log):
        for rid in emitting:
            first.setdefault(rid, record.end_ns)
            outputs[rid] = outputs.get(rid, 0) + 1
            if outputs[rid] == wanted_outputs.get(rid) and rid in arrival_ns:
                finished.append(
                    RequestTimes(
                        arrival_ns=arrival_ns[rid],
                        first_token_ns=first[rid],
                        end_ns=record.end_ns,
                        output_tokens=outputs[rid],
                    )
                )
    return finished


def latency_metrics(
    times: Sequence[RequestTimes], *, duration_ns: int, requests: int, limits: GoodputLimits | None = None
) -> dict[str, Value]:
    """Return times to first token, per output token and end to end, and goodput, by metric name.

    Args:
        times: of the requests that finished.
        duration_ns: modelled time to the last step.
        requests: requests of the whole workload, finished or not; 0 when their arrivals are not known, and
            then there is no goodput.
        limits: what a request must keep to count towards goodput.
    """
    limits = limits or GoodputLimits()
    first = sorted(one.first_token_seconds for one in times)
    each = sorted(value for one in times if (value := one.output_token_seconds) is not None)
    total = sorted(one.total_seconds for one in times)
    good = sum(one.keeps(limits) for one in times)
    return {
        "time_to_first_token_p50_seconds": percentile(first, 50),
        "time_to_first_token_p99_seconds": percentile(first, 99),
        "time_per_output_token_p50_seconds": percentile(each, 50),
        "time_per_output_token_p99_seconds": percentile(each, 99),
        "end_to_end_p50_seconds": percentile(total, 50),
        "end_to_end_p99_seconds": percentile(total, 99),
        "goodput_share": good / requests if requests else None,
        "goodput_requests_per_second": good / (duration_ns / 1e9) if requests and duration_ns else None,
    }
