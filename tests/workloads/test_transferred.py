"""Transfers are a part of a workload: what is sent how, in its text and in its digest."""

from __future__ import annotations

import pytest

from exhausters.errors import WorkloadError
from exhausters.workloads import Transfer, parse_spec, parse_workload


def test_every_request_has_its_transfer() -> None:
    """Every fourth stalls, and every second of the others fails; those of the warm-up have none."""
    workload = parse_workload("shared_prefix:transfer_steps=5,handshake_steps=2,stall_every=4,fail_every=2")
    transfers = [one.transfer for one in workload.requests if one.transfer is not None]
    fates = [one.fate for one in transfers[:8]]
    assert fates == ["arrives", "fails", "arrives", "stalls", "fails", "arrives", "fails", "stalls"]
    assert {(one.steps, one.handshake_steps) for one in transfers} == {(5, 2)}
    assert all(one.transfer is None for one in workload.warmup_requests)


def test_a_workload_without_transfers_is_the_one_it_was() -> None:
    """Only what has transfers has another digest; the text keeps what differs from the defaults."""
    plain = parse_workload("shared_prefix")
    assert all(one.transfer is None for one in plain.requests)
    assert parse_workload("shared_prefix:transfer_steps=2").digest != plain.digest
    assert parse_spec("shared_prefix:stall_every=0,transfer_steps=3").text == "shared_prefix:transfer_steps=3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("transfer_steps=-1", "Transfer.steps=-1: must be an integer >= 0"),
        ("fail_every=-2", "fail_every=-2: must be an integer >= 0"),
    ],
)
def test_a_bad_number_is_refused(text: str, said: str) -> None:
    """Steps and counts that are negative are refused with their name."""
    with pytest.raises(WorkloadError, match=said):
        parse_workload(f"shared_prefix:{text}")


def test_a_fate_that_is_none_is_refused() -> None:
    """A fate that there is not is refused with those that there are."""
    with pytest.raises(WorkloadError, match="must be one of arrives, stalls, unanswered, driven, fails"):
        Transfer(fate="explodes")
