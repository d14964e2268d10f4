"""The batch log counts chunks and parks as it goes; a naive recount over all batches says the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exhausters.scripted.batch_log import BatchLog
from tests.fakes.fake_scheduler import FakeForwardMode

_RIDS = "abc"


@dataclass
class Req:
    """A request with its id."""

    rid: str


@dataclass
class Batch:
    """A batch as the log reads it, and which request was chunked when it ran."""

    rids: list[str]
    forward_mode: FakeForwardMode | None
    chunked_rid: str | None

    @property
    def reqs(self) -> list[Any]:
        return [Req(rid) for rid in self.rids]


_batches = st.lists(
    st.builds(
        Batch,
        rids=st.lists(st.sampled_from(_RIDS), unique=True),
        forward_mode=st.sampled_from([*FakeForwardMode, None]),
        chunked_rid=st.one_of(st.none(), st.sampled_from(_RIDS)),
    ),
    max_size=12,
)


def _recount(batches: list[Batch], rid: str) -> tuple[int, int, bool]:
    """Chunks, parks and whether it ran, from the whole list at once."""
    partial = sum(one.chunked_rid == rid and rid in one.rids for one in batches)
    last = any(
        rid in one.rids and one.chunked_rid != rid and one.forward_mode and one.forward_mode.is_extend()
        for one in batches
    )
    parks = sum(one.chunked_rid == rid and rid not in one.rids for one in batches)
    return (partial + last if partial else 0), parks, any(rid in one.rids for one in batches)


@given(_batches)
def test_counts_are_those_of_a_naive_recount(batches: list[Batch]) -> None:
    """Whatever ran, the running counts equal a recount over the whole list of batches."""
    log = BatchLog()
    for batch in batches:
        log.record(batch, batch.chunked_rid)
    for rid in _RIDS:
        assert (log.chunks_done(rid), log.parks(rid), log.has_run(rid)) == _recount(batches, rid)


@given(_batches)
def test_clear_forgets_everything(batches: list[Batch]) -> None:
    """A new script begins with nothing counted."""
    log = BatchLog()
    for batch in batches:
        log.record(batch, batch.chunked_rid)
    log.clear()
    assert all((log.chunks_done(r), log.parks(r), log.has_run(r)) == (0, 0, False) for r in _RIDS)


def test_one_request_by_hand() -> None:
    """Two partial chunks, a park between them and a last chunk are three chunks and one park."""
    log = BatchLog()
    extend, decode = FakeForwardMode.EXTEND, FakeForwardMode.DECODE
    for batch in (
        Batch(["a"], extend, "a"),
        Batch(["b"], decode, "a"),
        Batch(["a"], extend, "a"),
        Batch(["a", "c"], extend, None),
        Batch(["a", "c"], decode, None),
    ):
        log.record(batch, batch.chunked_rid)
    assert (log.chunks_done("a"), log.parks("a")) == (3, 1)
    assert log.chunks_done("c") == 0
