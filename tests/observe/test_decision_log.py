"""The decision log: one digest, one file, and the first divergence of two logs."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhausters.errors import LogFormatError
from exhausters.observe.decision_log import FORMAT_VERSION, DecisionLog, first_divergence
from exhausters.observe.step_record import DECODE, IDLE, MODES, PREFILL, StepRecord

_counts = st.integers(0, 5)
_rids = st.lists(st.sampled_from(["a", "b", "ü\u2028", "d"]), max_size=4, unique=True)


@st.composite
def _step(draw: st.DrawFn) -> StepRecord:
    rids = draw(_rids)
    numbers = st.lists(_counts, min_size=len(rids), max_size=len(rids)).map(tuple)
    return StepRecord(
        step=0,
        mode=draw(st.sampled_from(MODES)),
        rids=tuple(rids),
        tokens=draw(numbers),
        prefix_tokens=draw(st.one_of(st.just(()), numbers)),
        chunked_rid=draw(st.one_of(st.none(), st.sampled_from(["a", "z"]))),
        retracted_rids=tuple(draw(_rids)),
        evict_calls=draw(_counts),
        free_tokens=draw(_counts),
        waiting=draw(_counts),
        forward_ns=draw(_counts),
    )


_logs = st.lists(_step(), max_size=6).map(
    lambda steps: DecisionLog(tuple(replace(one, step=i) for i, one in enumerate(steps)))
)


def _log(*steps: StepRecord) -> DecisionLog:
    return DecisionLog(tuple(replace(one, step=number) for number, one in enumerate(steps)))


@given(_logs)
def test_text_round_trip(log: DecisionLog) -> None:
    """A log is read back as it was written."""
    assert DecisionLog.from_text(log.to_text()) == log


@given(_logs, _logs)
def test_digest_is_equality(one: DecisionLog, other: DecisionLog) -> None:
    """Two logs have one digest if and only if all their records are equal."""
    assert (one.digest == other.digest) == (one == other)


@pytest.mark.parametrize("name", ["waiting", "free_tokens", "forward_ns", "held_rows", "retracted_tokens"])
def test_digest_sees_every_number(name: str) -> None:
    """A change of one number in one step changes the digest."""
    base = StepRecord(step=0, mode=IDLE)
    assert _log(base).digest != _log(replace(base, **{name: 1})).digest


def test_digest_sees_the_names() -> None:
    """The same steps of other requests are another log."""
    a, b = (_log(StepRecord(step=0, mode=DECODE, rids=(rid,), tokens=(1,))) for rid in "ab")
    assert a.digest != b.digest


def test_file_round_trip_is_byte_identical(tmp_path: Path) -> None:
    """Equal logs give byte-identical files, whatever they are called and whenever they are written."""
    log = _log(StepRecord(step=0, mode=PREFILL, rids=("a",), tokens=(7,), prefix_tokens=(0,)))
    log.write(tmp_path / "one.log.gz")
    log.write(tmp_path / "other.log.gz")
    assert (tmp_path / "one.log.gz").read_bytes() == (tmp_path / "other.log.gz").read_bytes()
    assert DecisionLog.read(tmp_path / "one.log.gz") == log


def test_long_decode_stays_small(tmp_path: Path) -> None:
    """10,000 decode steps of 64 requests stay well under a megabyte on disk, and can be read back."""
    rids = tuple(f"request-{i:04}" for i in range(64))
    steps = [
        StepRecord(
            step=i,
            mode=DECODE,
            rids=rids,
            tokens=(1,) * 64,
            free_tokens=100_000 - 64 * (i // 16),
            evictable_tokens=i % 7,
            forward_ns=5_000_000 + 50 * i * 64,
        )
        for i in range(10_000)
    ]
    path = tmp_path / "long.log.gz"
    log = DecisionLog(tuple(steps))
    log.write(path)
    assert path.stat().st_size < 300_000
    assert DecisionLog.read(path) == log


def _text(header: object, *lines: str) -> str:
    return "\n".join([json.dumps(header), *lines]) + "\n"


_HEADER = {"format": "exhausters-decision-log", "version": FORMAT_VERSION, "steps": 1, "rids": []}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "first line is not JSON"),
        ("hello\n", "first line is not JSON"),
        (_text([1]), "expected a header"),
        (_text({"format": "another"}), "expected a header"),
        (_text({**_HEADER, "version": FORMAT_VERSION + 1}), f"format version {FORMAT_VERSION + 1}"),
        (_text({"format": _HEADER["format"], "version": FORMAT_VERSION}), "the header has no"),
        (_text({**_HEADER, "steps": 2}, '{"mode":"idle"}'), "1 steps of 2: it was cut off"),
        (_text(_HEADER, '{"mode":"id'), "step 0 of the log is broken"),
        (_text(_HEADER, '{"mode":"idle","rids":[3]}'), "step 0 of the log is broken"),
        (_text(_HEADER, "[1]"), "step 0 of the log is broken"),
        (_text(_HEADER, "{}"), "step 0 of the log is broken"),
        (_text(_HEADER, '{"mode":"idle","mood":1}'), "a field 'mood'"),
    ],
)
def test_foreign_text_is_refused(text: str, told: str) -> None:
    """Whatever `to_text` did not write is refused as LogFormatError, which says what is wrong."""
    with pytest.raises(LogFormatError, match=told):
        DecisionLog.from_text(text)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    """A file that was cut off at any byte, damaged, or is no gzip at all is refused as LogFormatError."""
    path = tmp_path / "a.log.gz"
    _log(*[StepRecord(step=0, mode=DECODE, rids=("a",), tokens=(1,), waiting=i) for i in range(50)]).write(
        path
    )
    whole = path.read_bytes()
    damaged = [whole[:size] for size in range(0, len(whole), 7)]
    damaged += [whole[:20] + bytes([whole[20] ^ 0xFF]) + whole[21:], b"hello", gzip.compress(b"\xff\xfe")]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(LogFormatError):
            DecisionLog.read(path)


def test_equal_logs_do_not_part() -> None:
    """Equal logs, empty ones included, have no divergence."""
    log = _log(StepRecord(step=0, mode=IDLE))
    assert first_divergence(log, _log(StepRecord(step=0, mode=IDLE))) is None
    assert first_divergence(DecisionLog(()), DecisionLog(())) is None


def test_divergence_tells_step_fields_and_context() -> None:
    """The first differing step is told with the fields that differ and the steps around it, of both sides."""
    steps = [StepRecord(step=0, mode=IDLE, waiting=i) for i in range(10)]
    base = _log(*steps)
    steps[5] = replace(steps[5], waiting=50, free_tokens=1)
    steps[7] = replace(steps[7], waiting=70)
    head = _log(*steps)
    divergence = first_divergence(base, head, context=2)
    assert divergence is not None
    assert divergence.step == 5
    assert set(divergence.field_names) == {"waiting", "free_tokens"}
    assert [one.waiting for one in divergence.base] == [3, 4, 5, 6, 7]
    assert [one.waiting for one in divergence.head] == [3, 4, 50, 6, 70]


def test_prefix_parts_where_it_ends() -> None:
    """A log that is the beginning of the other diverges at its own end, with no field to name."""
    steps = [StepRecord(step=0, mode=IDLE, waiting=i) for i in range(4)]
    divergence = first_divergence(_log(*steps[:2]), _log(*steps), context=1)
    assert divergence is not None
    assert (divergence.step, divergence.field_names) == (2, ())
    assert [one.waiting for one in divergence.base] == [1]
    assert [one.waiting for one in divergence.head] == [1, 2, 3]


@given(_logs, _logs)
def test_divergence_is_symmetric_and_true(base: DecisionLog, head: DecisionLog) -> None:
    """All steps before the divergence are equal, and either order of the sides finds the same step."""
    divergence, turned = first_divergence(base, head), first_divergence(head, base)
    if divergence is None or turned is None:
        assert divergence is turned
        assert base == head
        return
    assert divergence.step == turned.step
    assert divergence.field_names == turned.field_names
    assert base.steps[: divergence.step] == head.steps[: divergence.step]
