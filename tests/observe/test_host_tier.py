"""What the second tier of the cache, and pools of hybrid models, add to the log; and to nobody else's."""

from __future__ import annotations

import pytest

from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.host_copy_time import HostCopyTime
from exhausters.observe.step_record import PREFILL, StepRecord

# A token takes a microsecond.
_COPY = HostCopyTime(bytes_per_second=1e9, bytes_per_token=1_000, layers=4)


@pytest.mark.parametrize(
    ("tokens", "forward_ns", "wait_ns"),
    [
        (0, 10_000, 0),
        # Shorter than the forward: only the first of four layers is waited for.
        (8, 10_000, 2_000),
        # Longer: the copies go on without a gap, and the last layer is computed after them.
        (20, 10_000, 20_000 + 2_500 - 10_000),
    ],
)
def test_a_load_back_is_waited_for_layer_by_layer(tokens: int, forward_ns: int, wait_ns: int) -> None:
    """A step is longer by what the pipeline of layers cannot hide, worked out by hand."""
    assert _COPY.load_back_wait_ns(tokens, forward_ns) == wait_ns


def test_the_default_is_what_it_says() -> None:
    """The name that records keep has the model's bytes and the bandwidth."""
    copy = HostCopyTime()
    assert copy.name == "host_copy/1:131072B/token@64GB/s"
    assert copy.copy_ns(1_000) == 2_048_000


def test_a_log_without_the_tier_reads_as_before() -> None:
    """Fields that joined later stand in no line while they say nothing: digests stay what they were."""
    plain = StepRecord(step=0, mode=PREFILL, rids=("a",), tokens=(16,), prefix_tokens=(0,))
    text = DecisionLog((plain,)).to_text()
    words = ("host", "backed", "backup", "loaded", "load_back", "mamba", "window_held")
    assert not any(word in text for word in words)


def test_a_log_with_the_tier_is_read_back() -> None:
    """Every field that joined later survives the file, also when it falls back to nothing."""
    full = StepRecord(
        step=0,
        mode=PREFILL,
        host_free_tokens=16,
        host_cached_tokens=32,
        host_held_tokens=48,
        backed_up_tokens=64,
        loaded_back_tokens=80,
        host_evicted_tokens=96,
        load_back_wait_ns=7,
        backup_wait_ns=8,
        window_held_tokens=9,
        mamba_free_slots=10,
        mamba_evictable_slots=11,
        mamba_protected_slots=12,
        mamba_held_slots=13,
        mamba_in_use_slots=14,
        mamba_evicted_slots=15,
    )
    log = DecisionLog((full, StepRecord(step=1, mode=PREFILL)))
    assert DecisionLog.from_text(log.to_text()) == log
