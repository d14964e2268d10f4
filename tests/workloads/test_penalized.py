"""Penalties for any workload."""

from __future__ import annotations

import pytest

from exhausters.errors import WorkloadError
from exhausters.workloads import BUILDERS, parse_workload


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_builder_takes_a_penalty(name: str) -> None:
    """Every second request has it, all end with a token that the model can emit; the digest tells."""
    plain, penalized = parse_workload(name), parse_workload(f"{name}:frequency_penalty=0.125")
    assert [one.frequency_penalty for one in penalized.requests[:2]] == [0.0, 0.125]
    assert [one.prompt_tokens for one in penalized.requests[:2]] == [
        one.prompt_tokens + 1 for one in plain.requests[:2]
    ]
    assert [one.rid for one in penalized.requests] == [one.rid for one in plain.requests]
    assert penalized.digest != plain.digest


def test_without_it_nothing_changes() -> None:
    """A penalty of zero is none: digests of older records stay."""
    assert parse_workload("agents:frequency_penalty=0").digest == parse_workload("agents").digest


@pytest.mark.parametrize("penalty", ["-0.5", "2.5", "nan", "1", "x"])
def test_bad_penalties_are_refused(penalty: str) -> None:
    """What SGLang would refuse, or what could change a text, is named with what is allowed."""
    with pytest.raises(WorkloadError, match="frequency_penalty="):
        parse_workload(f"retraction_storm:frequency_penalty={penalty}")
