from __future__ import annotations

import dataclasses
import pickle
from array import array
from typing import Any

import pytest

from exhausters.errors import WorkloadError
from exhausters.workloads import FixedToken, Request, Segment, Workload, summarise


def request(rid: str = "a", **changes: Any) -> Request:
    fields: dict[str, Any] = {
        "rid": rid,
        "arrival_seconds": 0.0,
        "prompt": (Segment(seed=1, length=8),),
        "max_new_tokens": 4,
    }
    return Request(**{**fields, **changes})


def workload(*requests: Request, **changes: Any) -> Workload:
    return Workload(**{"name": "w", "requests": requests or (request(),), **changes})


def test_prompt_is_its_segments_in_order() -> None:
    """A prompt is the concatenation of its segments, with the emitted token where the model spoke."""
    parts = (Segment(seed=1, length=3), Segment(seed=None, length=2), Segment(seed=2, length=4))
    one = request(prompt=parts)
    emitted = FixedToken(7)
    tokens = one.tokens(emitted)
    assert isinstance(tokens, array)
    assert tokens.typecode == "q"
    assert len(tokens) == one.prompt_tokens == 9
    assert tokens == parts[0].tokens(emitted) + array("q", [7, 7]) + parts[2].tokens(emitted)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rid": ""}, r"Request.rid=''"),
        ({"rid": 3}, r"Request.rid=3"),
        ({"arrival_seconds": -0.5}, r"arrival_seconds=-0.5: must be finite, >= 0"),
        ({"arrival_seconds": float("nan")}, r"arrival_seconds=nan"),
        ({"arrival_seconds": float("inf")}, r"arrival_seconds=inf"),
        ({"arrival_seconds": 10**400}, r"arrival_seconds=10"),
        ({"arrival_seconds": "1"}, r"arrival_seconds='1': must be a number"),
        ({"arrival_seconds": True}, r"arrival_seconds=True: must be a number"),
        ({"prompt": ()}, r"prompt=\(\): must be one or more Segment"),
        ({"prompt": ([1, 2],)}, r"must be one or more Segment"),
        ({"max_new_tokens": -1}, r"max_new_tokens=-1: must be >= 0"),
        ({"max_new_tokens": 1.5}, r"max_new_tokens=1.5: must be an integer"),
        ({"priority": "high"}, r"priority='high': must be an integer"),
        ({"after": ""}, r"after=''"),
        ({"ignore_eos": 1}, r"ignore_eos=1: must be True or False"),
    ],
)
def test_bad_request_is_refused(changes: dict[str, Any], message: str) -> None:
    """A request that makes no sense is refused with the field, the value and what was expected."""
    with pytest.raises(WorkloadError, match=message):
        request(**changes)


@pytest.mark.parametrize(
    ("seed", "length", "message"),
    [
        (-1, 1, "Segment.seed=-1: must be >= 0"),
        (True, 1, "Segment.seed=True: must be an integer"),
        (0, 0, "Segment.length=0: must be >= 1"),
        (0, 2.0, "Segment.length=2.0: must be an integer"),
    ],
)
def test_bad_segment_is_refused(seed: Any, length: Any, message: str) -> None:
    """A segment that makes no sense is refused with the field, the value and what was expected."""
    with pytest.raises(WorkloadError, match=message):
        Segment(seed=seed, length=length)


@pytest.mark.parametrize(
    ("requests", "warmup", "message"),
    [
        ((), (), r"requests=\(\): must be one or more"),
        ((request("a"), request("a")), (), r"requests\[1\]: rid='a': is already used"),
        ((request("a"),), (request("a"),), r"requests\[0\]: rid='a': is already used"),
        (
            (request("a", after="b"), request("b")),
            (),
            r"requests\[0\]: after='b': must be the rid of an earlier",
        ),
        ((request("a", after="a"),), (), r"after='a': must be"),
        ((request("a", after="w"),), (request("w"),), r"after='w': must be"),
        (
            (request("a", arrival_seconds=2), request("b", arrival_seconds=1)),
            (),
            r"arrival_seconds=1.0: must be >= 2",
        ),
        ((request("a"), "b"), (), r"requests\[1\]='b': must be a Request"),
    ],
)
def test_bad_workload_is_refused(requests: Any, warmup: Any, message: str) -> None:
    """A list that no driver could play is refused before anything is booted."""
    with pytest.raises(WorkloadError, match=message):
        Workload(name="w", requests=requests, warmup_requests=warmup)


def test_after_is_exempt_from_the_order_of_arrival() -> None:
    """Think time counts from another request's end, so it is not compared with arrival times."""
    workload(request("a", arrival_seconds=5.0), request("b", arrival_seconds=0.1, after="a"))


def test_digest_is_pinned() -> None:
    """The digest of the same requests never changes: stored results keep their history."""
    one = workload(request("a", priority=2), request("b", arrival_seconds=0.1, after="a"))
    assert one.digest == "7004d90e768a1cfd94a31e60a18baa19f4e49c8a62b6e7464586be3cb83adc18"


@pytest.mark.parametrize(
    "changes",
    [
        {"rid": "other"},
        {"arrival_seconds": 0.001},
        {"prompt": (Segment(seed=2, length=8),)},
        {"prompt": (Segment(seed=1, length=9),)},
        {"prompt": (Segment(seed=1, length=4), Segment(seed=1, length=4))},
        {"prompt": (Segment(seed=None, length=8),)},
        {"max_new_tokens": 5},
        {"priority": 0},
        {"ignore_eos": True},
    ],
)
def test_digest_sees_every_field(changes: dict[str, Any]) -> None:
    """Whatever the scheduler could notice changes the digest: different inputs are never compared."""
    assert workload(request(**changes)).digest != workload().digest


def test_digest_tells_warmup_from_load() -> None:
    """Moving a request from the load to the warm-up is another workload."""
    two = workload(request("a"), request("b"))
    assert two.digest != workload(request("b"), warmup_requests=(request("a"),)).digest


def test_digest_ignores_labels() -> None:
    """Renaming a workload or reading the file from elsewhere keeps its history."""
    other = workload(name="renamed", seed=3, description="new words", source={"file": "x"})
    assert other.digest == workload().digest
    assert workload(request(arrival_seconds=-0.0)).digest == workload(request(arrival_seconds=0)).digest


def test_workload_is_frozen_and_travels() -> None:
    """A workload cannot be changed after its digest is known, and survives the pipe to the worker."""
    one = workload(source={"file": "x"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.requests = ()  # type: ignore[misc]
    copy = pickle.loads(pickle.dumps(one))
    assert copy == one
    assert copy.digest == one.digest
    assert copy.source == {"file": "x"}
    assert hash(copy) == hash(one)


def test_summary_counts() -> None:
    """The summary's totals are those of the requests, warm-up left out."""
    shared = Segment(seed=1, length=100)
    one = Workload(
        name="w",
        requests=(
            request("a", prompt=(shared, Segment(seed=2, length=28)), max_new_tokens=3),
            request("b", prompt=(shared, Segment(seed=3, length=10)), max_new_tokens=40),
        ),
        warmup_requests=(request("w", prompt=(Segment(seed=1, length=50),)),),
    )
    summary = summarise(one, page_size=16)
    assert (summary.request_count, summary.warmup_request_count) == (2, 1)
    assert (summary.prompt_tokens, summary.output_tokens) == (238, 43)
    assert summary.shared_tokens == 48 + 96
    assert summary.shared_fraction == pytest.approx(144 / 238)
    assert summary.longest_request_tokens == 150
    with pytest.raises(WorkloadError, match="page_size=0"):
        summarise(one, page_size=0)
