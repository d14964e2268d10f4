"""What is known of a run before it starts, and metrics computed again from what was stored of it."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import replace

from exhausters.engine.settings import CANARIES
from exhausters.errors import StoreError
from exhausters.observe.latency import GoodputLimits
from exhausters.observe.run_facts import RunFacts
from exhausters.observe.summary import Value, summarize
from exhausters.sweep.cell import Cell
from exhausters.sweep.record import RunRecord
from exhausters.workloads import CanaryText, EmittedText, FixedToken, Workload, parse_workload


def planned_facts(cell: Cell, workload: Workload, *, goodput: GoodputLimits, text: EmittedText) -> RunFacts:
    """Return the facts of a run that has not started: nothing has arrived or been submitted."""
    return RunFacts(
        chunk_budget_tokens=max(cell.engine.chunked_prefill_size, 0) or None,
        submitted_steps={},
        wanted_outputs={request.rid: request.output_tokens for request in workload.requests},
        sequences=_sequences(workload, text),
        adapters=_adapters(workload),
        warm_rids=tuple(request.rid for request in workload.warmup_requests),
        page_size=cell.engine.page_size,
        emitted_token=text.fixed_token,
        goodput=goodput,
    )


def resummarize(record: RunRecord) -> dict[str, Value]:
    """Return every decision and modelled-time metric of a stored run, from its log and its facts.

    A metric that was added to `summarize` after the run is among them; the others are as they were stored.

    Raises:
        StoreError: the record has no facts, or its workload cannot be rebuilt as it was.
        WorkloadError: the workload cannot be built, for instance because its trace is not available.
    """
    facts, cell = record.result.facts, record.cell
    if facts is None:
        raise StoreError(
            f"{cell.id} of {record.target}: the record holds no facts of its run: it was written before "
            "facts were stored, or the run failed before its first step. Sweep again"
        )
    text = _text_of(cell, facts)
    if text is None:
        return summarize(record.result.log, facts)
    workload = parse_workload(cell.workload)
    stored = record.result.provenance.get("workload_digest", workload.digest)
    if workload.digest != stored:
        raise StoreError(
            f"{cell.workload}: has digest {workload.digest[:16]} now, and {str(stored)[:16]} in the record: "
            "use the harness and the trace that it was swept with"
        )
    sequences = _sequences(workload, text)
    return summarize(record.result.log, replace(facts, sequences=sequences, adapters=_adapters(workload)))


def _text_of(cell: Cell, facts: RunFacts) -> EmittedText | None:
    """What the model of a stored run emitted; None when it is not known."""
    if cell.engine.model in CANARIES:
        return CanaryText()
    return None if facts.emitted_token is None else FixedToken(facts.emitted_token)


def _adapters(workload: Workload) -> Mapping[str, str]:
    return {one.rid: one.adapter for one in workload.requests if one.adapter is not None}


def _sequences(workload: Workload, text: EmittedText) -> Mapping[str, array[int]]:
    """Prompt and outputs of every request: what its prefixes are computed from."""
    prompts = {one.rid: one.tokens(text) for one in (*workload.warmup_requests, *workload.requests)}
    outputs = {one.rid: one.output_tokens for one in (*workload.warmup_requests, *workload.requests)}
    return {rid: prompt + text.after(prompt, outputs[rid]) for rid, prompt in prompts.items()}
