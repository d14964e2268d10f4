from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exhausters.errors import WorkloadError
from exhausters.workloads import read_sglang_log, summarise

Fields = dict[str, Any]


def event(kind: str, at: str, **fields: Any) -> str:
    """A line as SGLang's logger writes it, its own prefix included."""
    body = {"timestamp": f"2026-01-31T12:00:{at}", "event": f"request.{kind}", **fields}
    return f"[2026-01-31 12:00:{at[:2]}] {json.dumps(body)}"


def received(rid: str | list[str], at: str) -> str:
    return event("received", at, rid=rid, obj={"rid": rid})


def finished(rid: Any, at: str, meta: Fields | None = None, **obj: Any) -> str:
    meta_info = {"prompt_tokens": 8, "completion_tokens": 4, "e2e_latency": 0.5, **(meta or {})}
    return event("finished", at, rid=rid, obj={"rid": rid, **obj}, out={"meta_info": meta_info})


def test_finished_requests_are_replayed_by_arrival(write: Callable[..., Path]) -> None:
    """Requests are played in the order they arrived, whatever order they finished in."""
    path = write(
        "server.log",
        "INFO: Uvicorn running",
        "[2026-01-31 12:00:00] Prefill batch, #new-seq: 1",
        received("slow", "01.000000"),
        received(["b1", "b2"], "02.250000"),
        finished("b2", "03", {"prompt_tokens": 20, "completion_tokens": 0}, priority=5),
        finished("b1", "03.5"),
        finished("slow", "09.000000", {"prompt_tokens": 100, "completion_tokens": 33}),
        event("finished", "10", rid="HEALTH_CHECK_1", out={}),
    )
    workload = read_sglang_log(path, scale="1/8")
    assert [r.rid for r in workload.requests] == ["sglang_log-7", "sglang_log-5", "sglang_log-6"]
    assert [r.arrival_seconds for r in workload.requests] == [0.0, 1.25, 1.25]
    assert [r.prompt_tokens for r in workload.requests] == [13, 3, 1]
    assert [r.max_new_tokens for r in workload.requests] == [5, 1, 1]
    assert [r.priority for r in workload.requests] == [None, 5, None]
    assert workload.source["other_lines"] == 5


def test_latency_tells_arrival_where_the_start_is_not_logged(write: Callable[..., Path]) -> None:
    """A log that begins in the middle still tells arrivals: time of finish minus latency."""
    path = write("s.log", finished("a", "05"), finished("b", "06", {"e2e_latency": 3.0}))
    workload = read_sglang_log(path)
    assert [(r.rid, r.arrival_seconds) for r in workload.requests] == [
        ("sglang_log-2", 0.0),
        ("sglang_log-1", 1.5),
    ]


def test_logged_ids_keep_shared_prefixes(write: Callable[..., Path]) -> None:
    """Equal prefixes of whole blocks stay shared, at every scale, and the ids themselves stay out."""
    ids = list(range(10_000, 10_100))
    other = [*ids[:40], *range(50)]
    path = write(
        "s.log",
        finished("a", "01", {"prompt_tokens": 100}, input_ids=ids),
        finished("b", "02", {"prompt_tokens": 90}, input_ids=other),
        finished("c", "03", {"prompt_tokens": 100}, input_ids=ids),
    )
    for scale, shared in ((1, 32 + 96), ("1/4", 8 + 24), ("1/16", 2 + 6)):
        workload = read_sglang_log(path, block_tokens=16, scale=scale)
        assert summarise(workload).shared_tokens == shared
    assert all((part.seed or 0) < 100 for r in workload.requests for part in r.prompt)


@pytest.mark.parametrize(
    ("ids", "known_blocks"),
    [
        ([*range(32), "...", *range(32)], 2),  # level 2: the middle is cut out
        (list(range(99)), 0),  # images grew into more tokens than were logged
        (None, 0),
        ("array('q', [1, 2])", 0),
    ],
)
def test_ids_that_are_not_the_prompt_are_not_used(
    write: Callable[..., Path], ids: Any, known_blocks: int
) -> None:
    """Truncated or absent ids give what they still tell; the length comes from the token counts."""
    meta = {"prompt_tokens": 1000}
    path = write("s.log", finished("a", "01", meta, input_ids=ids), finished("b", "02", meta, input_ids=ids))
    workload = read_sglang_log(path, block_tokens=16)
    assert workload.requests[0].prompt_tokens == 1000
    assert summarise(workload).shared_tokens == 16 * known_blocks


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (finished("x", "05")[:-30], "must be one whole JSON object"),
        (
            finished("x", "05", {"prompt_tokens": None}),
            r"out\.meta_info\.prompt_tokens=None: must be an integer",
        ),
        (finished("x", "05", {"prompt_tokens": 0}), r"out\.meta_info\.prompt_tokens=0: must be >= 1"),
        (
            finished("x", "05", {"completion_tokens": -1}),
            r"out\.meta_info\.completion_tokens=-1: must be >= 0",
        ),
        (
            finished("x", "05", {"e2e_latency": float("nan")}),
            r"out\.meta_info\.e2e_latency=nan: must be finite",
        ),
        (finished("x", "zz"), "timestamp='2026-01-31T12:00:zz': must look like"),
        (finished(7, "05"), "rid=7: must be a non-empty string"),
        (finished("x", "05", priority="high"), r"obj\.priority='high': must be an integer"),
        (finished("x", "05", input_ids=[1, -2]), r"obj\.input_ids\[1\]=-2: must be >= 0"),
        (finished("x", "05", input_ids=[[1], [2]]), r"obj\.input_ids\[0\]=\[1\]: must be an integer"),
        (event("finished", "05", rid="x"), "out: is missing"),
        (event("finished", "05", rid="x", out=3), "out=3: must be an object, not int"),
        (event("finished", "05", rid="x", out={}), r"out\.meta_info: is missing"),
        (event("received", "05"), "rid: is missing"),
        (event("finished", "05").replace('"2026-01-31T', '20 #"', 1), "must be one whole JSON object"),
        (finished("x", "05", input_ids=[2**63]), r"obj\.input_ids\[0\]: must be <= "),
    ],
)
def test_bad_line_is_named_or_skipped(write: Callable[..., Path], bad: str, message: str) -> None:
    """A bad line is refused by file, line and field, or skipped and counted when asked for."""
    path = write("s.log", finished("a", "01"), bad, finished("b", "06"))
    with pytest.raises(WorkloadError, match=rf"s\.log, line 2: .*{message}"):
        read_sglang_log(path)
    workload = read_sglang_log(path, skip_bad_lines=True)
    assert len(workload.requests) == 2
    assert workload.source["skipped_lines"] == 1


def test_text_format_is_refused(write: Callable[..., Path]) -> None:
    """A log in SGLang's text format holds no events: an error, never an empty workload."""
    path = write("s.log", "[2026-01-31 12:00:00] Finish: obj=GenerateReqInput(rid='a')")
    with pytest.raises(WorkloadError, match=r"0 requests found.*sglang_log"):
        read_sglang_log(path)


def test_bad_block_size_is_refused(write: Callable[..., Path]) -> None:
    """A block must be a whole number of tokens, also after scaling."""
    path = write("s.log", finished("a", "01"))
    with pytest.raises(WorkloadError, match="block_tokens=0: must be >= 1"):
        read_sglang_log(path, block_tokens=0)
    with pytest.raises(WorkloadError, match=r"scale=1/32: 16 \* scale"):
        read_sglang_log(path, block_tokens=16, scale="1/32")
