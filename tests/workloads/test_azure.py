from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exhausters.errors import WorkloadError
from exhausters.workloads import read_azure, summarise

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"
GOOD = "2023-11-16 18:17:04.0319600,3180,8"


def test_lines_become_requests(write: Callable[..., Path]) -> None:
    """Seven digits of a second are kept exactly, lengths are scaled up to at least 1, nothing is shared."""
    path = write(
        "t.csv",
        "\ufeff" + HEADER + "\r",
        "2023-11-16 18:17:03.9799600,4808,10\r",
        "2023-11-16 18:17:03.9799601,4808,0\r",
        "2023-11-16 18:17:04,3,5\r",
    )
    workload = read_azure(path, scale="1/16")
    assert [r.arrival_seconds for r in workload.requests] == [0.0, 1e-7, 0.02004]
    assert [r.prompt_tokens for r in workload.requests] == [301, 301, 1]
    assert [r.max_new_tokens for r in workload.requests] == [1, 1, 1]
    assert summarise(workload).shared_tokens == 0


def test_columns_in_any_order_and_zones(write: Callable[..., Path]) -> None:
    """The traces of 2024 write a zone; columns are found by name."""
    path = write(
        "t.csv",
        "GeneratedTokens,TIMESTAMP,ContextTokens",
        "7,2024-05-10 00:00:00.009930+00:00,2162",
        "9,2024-05-10T01:00:01+01:00,8",
    )
    first, second = read_azure(path).requests
    assert (first.prompt_tokens, first.max_new_tokens) == (2162, 7)
    assert second.arrival_seconds == pytest.approx(0.99007)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("2023-11-16 18:17:05.0,1", "must have 3 columns"),
        ("2023-11-16 18:17:05.0,1,2,3", "must have 3 columns"),
        ('"2023-11-16 18:17:05.0,1,2', "must be one CSV row"),
        ("2023-11-16 18:17:05.0,-1,2", "ContextTokens=-1: must be >= 1"),
        ("2023-11-16 18:17:05.0,1,-2", "GeneratedTokens=-2: must be >= 0"),
        ("2023-11-16 18:17:05.0,nan,2", "ContextTokens='nan': must be a whole number"),
        ("2023-11-16 18:17:05.0,1.5,2", "ContextTokens='1.5': must be a whole number"),
        ("2023-11-16 18:17:05.0,,2", "ContextTokens='': must be a whole number"),
        ("2023-11-16 18:17:05.0,99999999999,2", "ContextTokens=99999999999: must be <= "),
        ("NaN,1,2", "TIMESTAMP='NaN': must look like"),
        ("2023-13-16 18:17:05.0,1,2", "TIMESTAMP='2023-13-16 18:17:05.0': month must be"),
        ("2023-11-16 18:17:03.0,1,2", "TIMESTAMP: is 1.03196 s before that of line 2"),
    ],
)
def test_bad_line_is_named_or_skipped(write: Callable[..., Path], bad: str, message: str) -> None:
    """A bad line is refused by file, line and field, or skipped and counted when asked for."""
    path = write("t.csv", HEADER, GOOD, bad)
    with pytest.raises(WorkloadError, match=rf"t\.csv, line 3: .*{message}"):
        read_azure(path)
    workload = read_azure(path, skip_bad_lines=True)
    assert len(workload.requests) == 1
    assert workload.source["skipped_lines"] == 1


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("TIMESTAMP,ContextTokens", "'GeneratedTokens': is missing"),
        (HEADER + ",Region", "'Region': is unknown"),
        (HEADER + ",TIMESTAMP", "given twice"),
        (GOOD, "is unknown; the header must be TIMESTAMP"),
    ],
)
def test_bad_header_is_never_skipped(write: Callable[..., Path], header: str, message: str) -> None:
    """Without its header no line of a CSV can be trusted, whatever skip_bad_lines says."""
    path = write("t.csv", header, GOOD)
    with pytest.raises(WorkloadError, match=rf"t\.csv, line 1: .*{message}"):
        read_azure(path, skip_bad_lines=True)


def test_header_alone_is_refused(write: Callable[..., Path]) -> None:
    """A trace without requests is an error, never an empty workload."""
    for path in (write("t.csv", HEADER), write("empty.csv")):
        with pytest.raises(WorkloadError, match="0 requests found"):
            read_azure(path)
