"""The batch log counts chunks and parks as it goes; a naive recount over all batches says the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exhausters.engine.api import DECODE, IDLE, MIXED, PREFILL, BatchView
from exhausters.scripted.batch_log import BatchLog

_RIDS = "abc"


_batches = st.lists(
    st.builds(
        BatchView,
        rids=st.lists(st.sampled_from(_RIDS), unique=True).map(tuple),
        mode=st.sampled_from([PREFILL, DECODE, MIXED, IDLE]),
        chunked_rid=st.one_of(st.none(), st.sampled_from(_RIDS)),
    ),
    max_size=12,
)


def _recount(batches: list[BatchView], rid: str) -> tuple[int, int, bool]:
    """Chunks, parks and whether it ran, from the whole list at once."""
    partial = sum(one.chunked_rid == rid and rid in one.rids for one in batches)
    last = any(rid in one.rids and one.chunked_rid != rid and one.mode in (PREFILL, MIXED) for one in batches)
    parks = sum(one.chunked_rid == rid and rid not in one.rids for one in batches)
    return (partial + last if partial else 0), parks, any(rid in one.rids for one in batches)


@given(_batches)
def test_counts_are_those_of_a_naive_recount(batches: list[BatchView]) -> None:
    """Whatever ran, the running counts equal a recount over the whole list of batches."""
    log = BatchLog()
    for batch in batches:
        log.record(batch)
    for rid in _RIDS:
        assert (log.chunks_done(rid), log.parks(rid), log.has_run(rid)) == _recount(batches, rid)


@given(_batches)
def test_clear_forgets_everything(batches: list[BatchView]) -> None:
    """A new script begins with nothing counted."""
    log = BatchLog()
    for batch in batches:
        log.record(batch)
    log.clear()
    assert all((log.chunks_done(r), log.parks(r), log.has_run(r)) == (0, 0, False) for r in _RIDS)


def test_one_request_by_hand() -> None:
    """Two partial chunks, a park between them and a last chunk are three chunks and one park."""
    log = BatchLog()
    for batch in (
        BatchView(rids=("a",), mode=PREFILL, chunked_rid="a"),
        BatchView(rids=("b",), mode=DECODE, chunked_rid="a"),
        BatchView(rids=("a",), mode=PREFILL, chunked_rid="a"),
        BatchView(rids=("a", "c"), mode=PREFILL, chunked_rid=None),
        BatchView(rids=("a", "c"), mode=DECODE, chunked_rid=None),
    ):
        log.record(batch)
    assert (log.chunks_done("a"), log.parks("a")) == (3, 1)
    assert log.chunks_done("c") == 0
