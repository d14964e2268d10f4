"""Step records on disk: all but the last, unfinished batch survives whatever happens to the writer."""

from __future__ import annotations

from pathlib import Path

import pytest

from exhausters.observe.step_record import IDLE, StepRecord
from exhausters.worker.spool import SPOOL_STEPS, StepSpool, read_spool

_STEPS = [StepRecord(step=number, mode=IDLE, rids=("a", "b")) for number in range(3 * SPOOL_STEPS)]


def _written(path: Path, count: int) -> Path:
    spool = StepSpool(path)
    for number in range(1, count + 1):
        spool.offer(_STEPS[:number])
    return path


@pytest.mark.parametrize(
    ("offered", "kept"), [(SPOOL_STEPS - 1, 0), (SPOOL_STEPS, 1), (SPOOL_STEPS + 1, 1), (3 * SPOOL_STEPS, 3)]
)
def test_full_batches_are_kept(tmp_path: Path, offered: int, kept: int) -> None:
    """Every full batch is on disk at once, in order; what has not filled one is not."""
    path = _written(tmp_path / "steps", offered)
    assert read_spool(path) == tuple(_STEPS[: kept * SPOOL_STEPS])


def test_a_batch_cut_short_anywhere_is_left_out(tmp_path: Path) -> None:
    """Wherever the writer was killed within a batch, the batches before it are read and nothing raises."""
    path = _written(tmp_path / "steps", SPOOL_STEPS)
    first = path.stat().st_size
    whole = _written(path, 2 * SPOOL_STEPS).read_bytes()
    for size in (*range(first, len(whole), 97), len(whole) - 1):
        path.write_bytes(whole[:size])
        assert read_spool(path) == tuple(_STEPS[:SPOOL_STEPS]), size
    path.write_bytes(whole)
    assert len(read_spool(path)) == 2 * SPOOL_STEPS


def test_a_new_run_begins_an_empty_spool(tmp_path: Path) -> None:
    """What an earlier run of the same worker has left is not taken for this one's."""
    path = _written(tmp_path / "steps", SPOOL_STEPS)
    StepSpool(path)
    assert read_spool(path) == ()


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder outside a worker leaves no file."""
    monkeypatch.chdir(tmp_path)
    StepSpool(None).offer(_STEPS)
    assert list(tmp_path.iterdir()) == []
