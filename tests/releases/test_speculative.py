"""Drafts come up in every supported release, are accepted as scripted, and their KV is counted."""

from __future__ import annotations

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import UnsupportedSettingError
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.targets import SUPPORTED_RELEASES, prepare
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload

# Before these SGLang itself refuses NGRAM on a CPU.
_NO_NGRAM = ("0.5.13", "0.5.13.post1", "0.5.14", "0.5.15", "0.5.15.post1")


def _run(release: str, algorithm: str, *, overlap: bool) -> CellResult:
    switches = {"speculative_algorithm": algorithm, "speculative_num_draft_tokens": 4}
    engine = EngineSettings(
        max_total_tokens=2_048,
        model="canary",
        overlap=overlap,
        speculative_accept="constant:2",
        server_args=tuple(switches.items()),
    )
    settings = HostSettings(
        engine=engine.engine_keywords(),
        switches=switches,
        model=engine.model,
        speculative_accept=engine.speculative_accept,
    )
    cell = Cell(workload="shared_prefix:requests=12,output_tokens=20", engine=engine)
    with Host(prepare(f"release:{release}"), settings) as host:
        result: CellResult = host.run(
            run_cell, cell, parse_workload(cell.workload), RunOptions(passes=(CHECKED,))
        )
    return result


@pytest.mark.releases
@pytest.mark.parametrize("overlap", [True, False], ids=["overlap", "normal"])
@pytest.mark.parametrize("algorithm", ["EAGLE", "NGRAM"])
@pytest.mark.parametrize("release", SUPPORTED_RELEASES)
def test_drafts_are_accepted_as_scripted(release: str, algorithm: str, overlap: bool) -> None:
    """Each round emits what the script says, pools add up after every step, and texts are right."""
    if algorithm == "NGRAM" and release in _NO_NGRAM:
        with pytest.raises(UnsupportedSettingError, match="only supports CUDA"):
            _run(release, algorithm, overlap=overlap)
        return
    result = _run(release, algorithm, overlap=overlap)
    assert (result.outcome, result.judgement and result.judgement.findings) == (DRAINED, ())
    assert {tokens for step in result.log for tokens in step.emitted_tokens} == {3}
    assert (
        0 < (result.metrics["draft_kv_returned_tokens"] or 0) < (result.metrics["draft_kv_taken_tokens"] or 0)
    )
