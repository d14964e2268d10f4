"""Priorities: an argument of every workload, and no part of those that do not have it."""

from __future__ import annotations

import pytest

from exhausters.errors import WorkloadError
from exhausters.workloads import BUILDERS, parse_spec, parse_workload


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_builder_takes_priorities(name: str) -> None:
    """The i-th request has priority i mod n; nothing else changes, and the warm-up has none."""
    plain, with_them = parse_workload(name), parse_workload(f"{name}:priorities=3")
    assert [request.priority for request in with_them.requests] == [
        index % 3 for index in range(len(plain.requests))
    ]
    assert {request.priority for request in plain.requests} == {None}
    assert [request.rid for request in with_them.requests] == [request.rid for request in plain.requests]
    assert with_them.warmup_requests == plain.warmup_requests
    assert with_them.digest != plain.digest
    assert with_them.source["spec"] == f"{name}:priorities=3"


def test_without_it_nothing_changes() -> None:
    """The argument is part of the spec and of the digest only where it is given."""
    assert parse_spec("agents:priorities=none").text == "agents"
    assert parse_workload("agents:priorities=none").digest == parse_workload("agents").digest


def test_it_is_repeatable() -> None:
    """The same text gives the same digest."""
    assert parse_workload("bursts:priorities=2").digest == parse_workload("bursts: priorities = 2").digest


@pytest.mark.parametrize("text", ["bursts:priorities=0", "bursts:priorities=x", "bursts:priorities=1.5"])
def test_bad_counts_are_refused(text: str) -> None:
    """A count that is no integer >= 1 is an error that names the argument."""
    with pytest.raises(WorkloadError, match="priorities"):
        parse_workload(text)
