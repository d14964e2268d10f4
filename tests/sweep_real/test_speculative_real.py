"""Drafts on the newest release: SGLang's own workers, scripted acceptance, every KV token accounted for."""

from __future__ import annotations

import pytest

from exhausters.engine.acceptance import parse_acceptance
from exhausters.engine.settings import HostSettings
from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.free_axes import FreeValue
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import CHECKED, DECIDE, RunOptions
from exhausters.workloads import parse_workload
from tests.conftest import Hosts

pytestmark = pytest.mark.real

_DRAFTS = 3
_TRACE = "trace:0,3,1"
_WORKLOAD = "shared_prefix:requests=12,output_tokens=20"
Switches = tuple[tuple[str, FreeValue], ...]
_EAGLE: Switches = (("speculative_algorithm", "EAGLE"), ("speculative_num_steps", _DRAFTS))
_NGRAM: Switches = (("speculative_algorithm", "NGRAM"), ("speculative_num_draft_tokens", _DRAFTS + 1))


def _engine(
    worker: Switches = _EAGLE, *, accept: str = _TRACE, overlap: bool = True, page: int = 16
) -> EngineSettings:
    return EngineSettings(
        max_total_tokens=2_048,
        model="canary",
        page_size=page,
        overlap=overlap,
        speculative_accept=accept,
        server_args=worker,
    )


def _run(
    hosts: Hosts, engine: EngineSettings, *passes: str, workload: str = _WORKLOAD, **levels: int
) -> CellResult:
    host = hosts.get(
        HostSettings(
            engine=engine.engine_keywords(),
            switches=dict(engine.server_args),
            model=engine.model,
            speculative_accept=engine.speculative_accept,
        )
    )
    assert host.facts["overlap"] == engine.overlap
    cell = Cell(workload=workload, engine=engine, levels=PressureLevels(held=bool(levels), **levels))
    result: CellResult = host.run(run_cell, cell, parse_workload(workload), RunOptions(passes=passes))
    return result


def _rounds(result: CellResult) -> dict[str, list[int]]:
    """Tokens that each request emitted in its decodes, one after the other."""
    found: dict[str, list[int]] = {}
    for step in result.log:
        for rid, tokens in zip(step.rids, step.emitted_tokens, strict=False):
            found.setdefault(rid, []).append(tokens)
    return found


@pytest.mark.parametrize(
    ("worker", "overlap"),
    [
        pytest.param(_EAGLE, True, id="eagle-overlap"),
        pytest.param(_EAGLE, False, id="eagle-normal"),
        pytest.param(_NGRAM, True, id="ngram-overlap"),
        pytest.param(_NGRAM, False, id="ngram-normal", marks=pytest.mark.slow),
    ],
)
def test_a_trace_is_followed_and_nothing_is_lost(hosts: Hosts, worker: Switches, overlap: bool) -> None:
    """Each round accepts what the trace says, texts are right, and no promise is broken, in both loops."""
    result = _run(hosts, _engine(worker, overlap=overlap), CHECKED)
    assert (result.outcome, result.judgement and result.judgement.findings) == (DRAINED, ())
    script, rounds = parse_acceptance(_TRACE), _rounds(result)
    assert len(rounds) == len(result.facts.wanted_outputs) if result.facts else False
    for rid, emitted in rounds.items():
        place = 0
        for tokens in emitted:
            assert tokens == script.right_drafts(rid, place, _DRAFTS) + 1
            place += tokens
    judged = {one.promise: one.judged for one in result.judgement.promises} if result.judgement else {}
    assert min(judged["same text"], judged["conservation"], judged["lock ledger"]) > 0


def test_right_drafts_save_steps_and_wrong_ones_save_none(hosts: Hosts) -> None:
    """All right: as many tokens in fewer steps; none right: one token a round; what was taken comes back."""
    right, wrong = (_run(hosts, _engine(accept=accept, page=1), DECIDE) for accept in ("all", "constant:0"))
    for result in (right, wrong):
        wanted = sum(result.facts.wanted_outputs.values()) if result.facts else 0
        assert (result.outcome, result.metrics["output_tokens"]) == (DRAINED, wanted)
        taken, back = (result.metrics[f"draft_kv_{what}_tokens"] or 0 for what in ("taken", "returned"))
        # The newest output of a request has no KV yet, unless a round went beyond it.
        assert wanted - len(result.facts.wanted_outputs if result.facts else ()) <= taken - back <= wanted
        assert 0 < back < taken
        assert result.log.steps[-1].draft_reserved_tokens == 0
    assert (right.metrics["steps_to_drain"] or 0) < (wrong.metrics["steps_to_drain"] or 0)
    assert (right.metrics["rejected_draft_tokens"], wrong.metrics["accepted_draft_tokens"]) == (0, 0)
    assert (right.metrics["tokens_per_verification"], wrong.metrics["tokens_per_verification"]) == (4, 1)


def test_requests_are_retracted_under_drafts(hosts: Hosts) -> None:
    """With few pages left requests are retracted, what they had for drafts comes back, no text is wrong."""
    engine = _engine(accept="all", page=1)
    workload = "retraction_storm:requests=16,output_tokens=96"
    result = _run(hosts, engine, DECIDE, CHECKED, workload=workload, leave_pages=560)
    assert (result.outcome, result.judgement and result.judgement.findings) == (DRAINED, ())
    assert (result.metrics["retractions"] or 0) > 0
    assert result.provenance["repeatable"]
    retracted = [step for step in result.log if step.retracted_rids]
    assert all(step.draft_kv_returned_tokens > 0 for step in retracted)
