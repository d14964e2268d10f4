from __future__ import annotations

from dataclasses import replace

import pytest

from exhausters.errors import WorkloadError
from exhausters.workloads import BUILDERS, Request, parse_spec, parse_workload


def _nameless(request: Request) -> Request:
    return replace(request, rid="a", after=None)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_workload_can_be_renamed(name: str) -> None:
    """Ids change, in reverse alphabetical order, followers still follow, and nothing else changes."""
    plain, other = parse_workload(name), parse_workload(f"{name}:renamed=true")
    before = (*plain.warmup_requests, *plain.requests)
    after = (*other.warmup_requests, *other.requests)
    names = {one.rid: two.rid for one, two in zip(before, after, strict=True)}
    assert list(map(_nameless, before)) == list(map(_nameless, after))
    assert sorted(names.values(), reverse=True) == [one.rid for one in after]
    assert not set(names) & set(names.values())
    assert [one.after and names[one.after] for one in before] == [one.after for one in after]
    assert other.source["spec"] == f"{name}:renamed=true"


def test_false_is_the_default() -> None:
    """A workload that is not renamed has the text and the digest that it always had."""
    assert parse_spec("agents:renamed=false").text == "agents"
    assert parse_workload("agents:renamed=false").digest == parse_workload("agents").digest
    with pytest.raises(WorkloadError, match="renamed='maybe': must be true or false"):
        parse_workload("agents:renamed=maybe")
