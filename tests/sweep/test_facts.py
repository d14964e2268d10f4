"""Metrics computed again from what a folder holds are those that were stored. On fake hosts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exhausters.errors import StoreError, WorkloadError
from exhausters.observe.metrics import DECISION, METRICS, MODELLED
from exhausters.observe.run_facts import RunFacts
from exhausters.sweep import workers
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.facts import resummarize
from exhausters.sweep.plan import plan_sweep
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import DRAINED, STALLED, RunRecord
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.store import LOGS_NAME, sweep_writer
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_grid, a_target, cut_short

_GRID = a_grid(
    workload=["agents", "long_context:requests=12"], leave_pages=["all", 80], chunked_prefill_size=[256, -1]
)
_KINDS = (DECISION, MODELLED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sweep with prefix sharing, chunks, evictions, and a cell that stalls."""
    place = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "Host", FakeHost)
        tasks = plan_sweep(a_target(), _GRID, workers=1, options=RunOptions(count_work=False))
        with sweep_writer(place, target=a_target(), grid=_GRID) as writer:
            for record in LocalExecutor(1).run(tasks):
                writer.add(record)
            writer.finish()
        yield place
    FakeHost.made.clear()


def stored(record: RunRecord) -> dict[str, float | int | None]:
    return {name: value for name, value in record.result.metrics.items() if METRICS[name].kind in _KINDS}


def test_metrics_are_those_that_were_stored(folder: Path) -> None:
    """Every decision and modelled-time metric of every cell comes out the same, to the last bit."""
    records = read_records(folder).records
    assert {record.result.outcome for record in records} == {DRAINED, STALLED}
    for record in records:
        assert resummarize(record) == stored(record), record.cell.id
    # Not all trivial: sequences, arrivals and chunks are needed for these.
    some = [stored(record) for record in records]
    for name in ("recomputed_tokens", "chunks", "time_to_first_token_p99_seconds", "wait_steps_p99"):
        assert any(metrics[name] for metrics in some), name


def test_unfinished_requests_lower_goodput(folder: Path) -> None:
    """Goodput of a run that stalled is a share of all its requests, not of those that finished."""
    stalled = [one for one in read_records(folder).records if one.result.outcome == STALLED]
    assert stalled
    for record in stalled:
        unfinished = record.result.metrics["unfinished_requests"]
        assert unfinished
        assert record.result.metrics["goodput_share"] == pytest.approx((12 - unfinished) / 12)


def test_a_log_that_was_cut_short_has_other_metrics(folder: Path) -> None:
    """The metrics come from the log, not from what was stored of them."""
    record = read_records(folder).records[0]
    assert resummarize(cut_short(record, 20))["steps_to_drain"] == 20


def test_facts_are_small_and_alike_files_equal(folder: Path) -> None:
    """Token sequences are not stored, and equal facts are equal bytes."""
    record = read_records(folder).records[0]
    facts = record.result.facts
    assert facts is not None
    assert not facts.sequences
    assert RunFacts.to_bytes(facts) == replace(facts).to_bytes()
    assert all(path.stat().st_size < 4_000 for path in (folder / LOGS_NAME).glob("*.facts.json.gz"))


def test_another_workload_is_refused(folder: Path) -> None:
    """A workload that is no longer built as it was gives an error that names it, not other numbers."""
    record = read_records(folder).records[0]
    provenance = {**record.result.provenance, "workload_digest": "ff" * 32}
    with pytest.raises(StoreError, match="agents: has digest"):
        resummarize(replace(record, result=replace(record.result, provenance=provenance)))
    gone = replace(record, cell=replace(record.cell, workload="mooncake:path=no/such/file"))
    with pytest.raises(WorkloadError):
        resummarize(gone)
