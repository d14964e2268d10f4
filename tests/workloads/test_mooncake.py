from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exhausters.errors import WorkloadError
from exhausters.workloads import Segment, read_mooncake


def line(**changes: Any) -> str:
    row = {"timestamp": 0, "input_length": 600, "output_length": 40, "hash_ids": [0, 1]}
    return json.dumps({**row, **changes})


def test_blocks_become_segments(write: Callable[..., Path]) -> None:
    """Each block is a segment named by its hash id; lengths and blocks scale alike, times do not."""
    path = write(
        "t.jsonl",
        line(timestamp=500),
        line(timestamp=1500, input_length=1537, output_length=0, hash_ids=[0, 1, 7, 9]),
    )
    workload = read_mooncake(path, scale=1 / 32)
    first, second = workload.requests
    assert first.prompt == (Segment(seed=0, length=16), Segment(seed=1, length=3))
    assert second.prompt == tuple(Segment(seed=s, length=n) for s, n in ((0, 16), (1, 16), (7, 16), (9, 1)))
    assert (first.arrival_seconds, second.arrival_seconds) == (0.0, 1.0)
    assert (first.max_new_tokens, second.max_new_tokens) == (2, 1)
    assert (first.rid, second.rid) == ("mooncake-1", "mooncake-2")
    assert workload.name == "t"


def test_options(write: Callable[..., Path]) -> None:
    """The options do what they say, and the clock starts after the warm-up."""
    path = write("t.jsonl", *(line(timestamp=1000 * n) for n in range(6)))
    workload = read_mooncake(path, warmup_requests=2, max_requests=3, time_stretch=0.5)
    assert [r.rid for r in workload.warmup_requests] == ["mooncake-1", "mooncake-2"]
    assert [r.arrival_seconds for r in workload.requests] == [0.0, 0.5, 1.0]
    assert workload.source["lines_read"] == 5


def test_reading_stops_at_max_requests(write: Callable[..., Path]) -> None:
    """A sample from the start of a huge trace does not read the rest: bad lines behind it are not seen."""
    path = write("t.jsonl", line(), line(), "not JSON at all")
    assert len(read_mooncake(path, max_requests=2).requests) == 2


BAD_LINES = [
    ('{"timestamp": 0, "input_len', "must be one whole JSON object"),
    ("[1, 2]", "must be a JSON object, not list"),
    ("[" * 100_000, "must be one whole JSON object"),
    (b'{"timestamp": "\xff"}', "must be UTF-8"),
    ('{"timestamp": 0}', "input_length: is missing"),
    (line(timestamp=-1), "timestamp=-1: must be finite and >= 0"),
    (line(timestamp=float("nan")), "timestamp=nan: must be finite"),
    (line(timestamp=float("inf")), "timestamp=inf: must be finite"),
    (line(timestamp=10**300), "timestamp=1000+...: must be finite"),
    (line(timestamp="0"), "timestamp='0': must be a number, not str"),
    (line(timestamp=True), "timestamp=True: must be a number"),
    (line(input_length=0), "input_length=0: must be >= 1"),
    (line(input_length=-5), "input_length=-5: must be >= 1"),
    (line(input_length=600.0), "input_length=600.0: must be an integer"),
    (line(input_length=10**12), "input_length=1000000000000: must be <= "),
    (line(output_length=-1), "output_length=-1: must be >= 0"),
    (line(output_length=None), "output_length=None: must be an integer"),
    (line(hash_ids=[0]), "hash_ids: 1 of them: must be 2"),
    (line(hash_ids=[0, "1"]), r"hash_ids\[1\]='1': must be an integer"),
    (line(hash_ids=[0, -1]), r"hash_ids\[1\]=-1: must be >= 0"),
    (line(hash_ids=[0, 2**63]), r"hash_ids\[1\]: must be <= "),
    (line(hash_ids=7), "hash_ids=7: must be a list"),
    (line(user="x"), "user: is unknown"),
    (line(timestamp=999), "timestamp: is 0.001 s before that of line 1: must not go back"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_LINES)
def test_bad_line_is_named(write: Callable[..., Path], bad: str | bytes, message: str) -> None:
    """A bad line is refused with the file, the line number, the field and what was expected."""
    path = write("t.jsonl", line(timestamp=1000), "", bad, line(timestamp=2000))
    with pytest.raises(WorkloadError, match=rf"t\.jsonl, line 3: .*{message}"):
        read_mooncake(path)


@pytest.mark.parametrize("bad", [bad for bad, _ in BAD_LINES])
def test_bad_line_can_be_skipped(write: Callable[..., Path], bad: str | bytes) -> None:
    """With skip_bad_lines a bad line is left out, and the workload says so: missing data is shown."""
    path = write("t.jsonl", line(timestamp=1000), bad, line(timestamp=2000))
    workload = read_mooncake(path, skip_bad_lines=True)
    assert [r.rid for r in workload.requests] == ["mooncake-1", "mooncake-3"]
    assert workload.source["skipped_lines"] == 1
    assert str(workload.source["first_skipped"]).startswith("line 2: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale=0: must be in"),
        ({"scale": 2}, "scale=2: must be in"),
        ({"scale": -0.5}, "scale=-1/2: must be in"),
        ({"scale": float("nan")}, "scale=nan: must be a finite number"),
        ({"scale": "a"}, "scale='a': must be a finite number"),
        ({"scale": True}, "scale=True: must be"),
        ({"scale": 0.1}, "scale=1/10: 512 [*] scale.*try 51/512"),
        ({"scale": "1/1024"}, "scale=1/1024: .*try 1/512"),
        ({"max_requests": 0}, "max_requests=0: must be >= 1"),
        ({"time_stretch": -1.0}, "time_stretch=-1.0: must be >= 0"),
        ({"time_stretch": float("inf")}, "time_stretch=inf: must be"),
        ({"skip_bad_lines": "no"}, "skip_bad_lines='no': must be True or False"),
        ({"warmup_requests": -1}, "warmup_requests=-1: must be >= 0"),
        ({"warmup_requests": 1}, "1 requests found: must be more than warmup_requests=1"),
    ],
)
def test_bad_option_is_refused(write: Callable[..., Path], options: dict[str, Any], message: str) -> None:
    """An option that makes no sense is refused with its value and what was expected."""
    with pytest.raises(WorkloadError, match=message):
        read_mooncake(write("t.jsonl", line()), **options)


def test_file_without_requests_is_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    """An empty, missing or unreadable file is an error, never an empty workload."""
    with pytest.raises(WorkloadError, match="0 requests found"):
        read_mooncake(write("empty.jsonl"))
    with pytest.raises(WorkloadError, match=r"no\.jsonl: cannot be read"):
        read_mooncake(tmp_path / "no.jsonl")
    with pytest.raises(WorkloadError, match="cannot be read"):
        read_mooncake(tmp_path)
