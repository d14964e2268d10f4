"""What a log says of transfers, when their tokens count, and that nobody else's log changes by it."""

from __future__ import annotations

from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.emitted_tokens import emissions
from exhausters.observe.run_facts import RunFacts
from exhausters.observe.step_record import DECODE, IDLE, PREFILL, StepRecord
from exhausters.observe.summary import summarize
from exhausters.observe.transfer_time import TransferTime

_FACTS = RunFacts(chunk_budget_tokens=None, submitted_steps={}, wanted_outputs={"a": 2, "b": 2})


def _emitted(*steps: StepRecord) -> list[tuple[str, ...]]:
    return [rids for _, rids in emissions(DecisionLog(steps))]


def test_a_log_without_a_role_reads_as_before() -> None:
    """Fields that joined later stand in no line of an engine that runs alone: digests stay what they were."""
    plain = StepRecord(step=0, mode=PREFILL, rids=("a",), tokens=(16,), prefix_tokens=(0,))
    text = DecisionLog((plain,)).to_text()
    assert not any(word in text for word in ("role", "bootstrapping", "transfer", "prealloc", "arrived"))


def test_a_log_with_a_role_is_read_back() -> None:
    """Every field of transfers survives the file, also when it falls back to nothing."""
    full = StepRecord(
        step=0,
        mode=IDLE,
        role="decode",
        bootstrapping=1,
        preallocating=2,
        transferring=3,
        transfer_tokens=48,
        free_prealloc_slots=4,
        held_prealloc_slots=5,
        arrived_rids=("a", "b"),
        arrived_tokens=32,
        failed_transfer_rids=("c",),
    )
    log = DecisionLog((full, StepRecord(step=1, mode=IDLE, role="decode")))
    assert DecisionLog.from_text(log.to_text()) == log


def test_a_prefill_engines_token_counts_when_it_has_arrived() -> None:
    """What its prefill computes is emitted when the transfer ends, and lost when that fails."""
    prefill = StepRecord(
        step=0, mode=PREFILL, role="prefill", rids=("a", "b"), tokens=(16, 16), prefix_tokens=(0, 0)
    )
    arrived = StepRecord(step=1, mode=IDLE, role="prefill", arrived_rids=("a",), failed_transfer_rids=("b",))
    assert _emitted(prefill, arrived) == [(), ("a",)]


def test_a_decode_engines_first_token_comes_with_the_transfer() -> None:
    """It counts in the step of its arrival, beside the decode's own; a retraction drops the latter only."""
    both = StepRecord(step=0, mode=DECODE, role="decode", rids=("a",), tokens=(1,), arrived_rids=("a",))
    after = StepRecord(step=1, mode=IDLE, role="decode", dropped_rids=("a",), retracted_rids=("a",))
    assert _emitted(both) == [("a", "a")]
    assert _emitted(both, after) == [("a",), ()]


def test_waits_are_added_up_over_requests() -> None:
    """Each step counts for every request that waits in it; what failed is counted by request."""
    steps = (
        StepRecord(step=0, mode=IDLE, role="decode", bootstrapping=1, preallocating=2, transfer_tokens=32),
        StepRecord(step=1, mode=IDLE, role="decode", transferring=2, failed_transfer_rids=("a",)),
        StepRecord(step=2, mode=IDLE, role="decode", transferring=1, arrived_rids=("b",), arrived_tokens=16),
    )
    metrics = summarize(DecisionLog(steps), _FACTS)
    names = ("prealloc_wait_steps", "transfer_wait_steps", "transfer_tokens_max", "failed_transfers")
    assert [metrics[name] for name in names] == [3, 3, 32, 1]
    assert (metrics["transferred_tokens"], metrics["output_tokens"]) == (16, 1)


def test_the_link_is_what_it_says() -> None:
    """The name that results keep has the bytes of a token and what the link carries."""
    link = TransferTime(bytes_per_second=1e9, bytes_per_token=1_000)
    assert (link.name, link.transfer_ns(7)) == ("transfer/1:1000B/token@1GB/s", 7_000)
