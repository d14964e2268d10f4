"""The form of a golden trace (docs/golden.md): JSON Lines, a header and a line for each step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exhausters.errors import GoldenTraceError
from exhausters.observe.forward_time import LinearForwardTime
from exhausters.observe.step_record import StepRecord
from exhausters.sweep.record import RunRecord
from exhausters.workloads import Request, Workload
from exhausters.workloads.tokens import EXPANSION_VERSION

FORMAT = "exhausters-golden-trace"
# Raise when a field changes its meaning.
VERSION = 1
ENDING = ".jsonl"
# What a step line has; a trace that is checked may leave out any but the first four.
REQUIRED = ("step", "mode", "requests", "tokens")
COMPARED = (
    "mode",
    "submitted",
    "requests",
    "tokens",
    "prefix",
    "decoding",
    "chunked",
    "retracted",
    "evicted",
    "free",
    "evictable",
    "protected",
    "withheld",
    "window_free",
    "window_evicted",
    "free_rows",
    "waiting",
    "end_ns",
)
# Left out of a line where they are 0, empty or null.
_SPARSE = (
    "submitted",
    "prefix",
    "decoding",
    "chunked",
    "retracted",
    "evicted",
    "withheld",
    "window_free",
    "window_evicted",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenTrace:
    """One trace.

    Attributes:
        path: where it was read from, for messages.
        header: the first line.
        steps: the others, in order.
    """

    path: Path
    header: Mapping[str, Any]
    steps: tuple[Mapping[str, Any], ...]

    @property
    def rids(self) -> list[str]:
        """Request ids by the numbers that the steps use; empty where the header does not list them."""
        return [str(one["rid"]) for one in self.header["workload"].get("requests", ())]

    @property
    def workload_digest(self) -> str:
        """Equal for traces of equal requests."""
        return str(self.header["workload"]["digest"])

    @property
    def target(self) -> str:
        """The build that it is of; raises GoldenTraceError where the header names none."""
        target = self.header["engine"].get("target")
        if not isinstance(target, str):
            raise GoldenTraceError(f"{self.path}: the header's engine has no 'target' (docs/golden.md)")
        return target


def trace_text(record: RunRecord, workload: Workload, engine: Mapping[str, Any]) -> str:
    """Return the trace of a run as text.

    Args:
        record: the run, with its facts.
        workload: what was run.
        engine: how the engine is called: `name`, `version`, `commit`.
    """
    numbers = {one.rid: number for number, one in enumerate(workload.requests)}
    submitted: dict[int, list[int]] = {}
    facts = record.result.facts
    for rid, step in (facts.submitted_steps if facts is not None else {}).items():
        submitted.setdefault(step, []).append(numbers[rid])
    lines = [_header(record, workload, engine)]
    lines += [step_line(one, numbers, submitted.get(one.step, [])) for one in record.result.log]
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def step_line(step: StepRecord, numbers: Mapping[str, int], submitted: list[int]) -> dict[str, Any]:
    """Return one step as its line has it; requests by their numbers."""
    line: dict[str, Any] = {
        "step": step.step,
        "mode": step.mode,
        "submitted": submitted,
        "requests": [numbers[rid] for rid in step.rids],
        "tokens": list(step.tokens),
        "prefix": list(step.prefix_tokens),
        "decoding": step.decoding_requests,
        "chunked": None if step.chunked_rid is None else numbers[step.chunked_rid],
        "retracted": [numbers[rid] for rid in step.retracted_rids],
        "evicted": step.evict_given_tokens,
        "free": step.free_tokens,
        "evictable": step.evictable_tokens,
        "protected": step.protected_tokens,
        "withheld": step.held_tokens,
        "window_free": step.window_free_tokens,
        "window_evicted": step.window_evicted_tokens,
        "free_rows": step.free_rows,
        "waiting": step.waiting,
        "end_ns": step.end_ns,
    }
    return {name: value for name, value in line.items() if name not in _SPARSE or value not in (0, [], None)}


def read_trace(path: Path) -> GoldenTrace:
    """Read a trace, golden or to be checked.

    Raises:
        GoldenTraceError: no such file, another format or version, a broken line, or a step that is missing.
    """
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise GoldenTraceError(f"{path}: not JSON Lines ({error})") from error
    if not lines or not isinstance(lines[0], dict) or lines[0].get("format") != FORMAT:
        raise GoldenTraceError(f"{path}: the first line is no header with format {FORMAT!r}")
    header, *steps = lines
    if header.get("version") != VERSION:
        raise GoldenTraceError(f"{path}: version {header.get('version')!r}; this reads version {VERSION}")
    problem = _problem_of_header(header)
    if problem:
        raise GoldenTraceError(f"{path}: the header {problem} (docs/golden.md)")
    for number, step in enumerate(steps):
        missing = [name for name in REQUIRED if not isinstance(step, dict) or name not in step]
        if missing or step["step"] != number:
            problem = f"has no {', '.join(missing)}" if missing else f"is numbered {step['step']!r}"
            raise GoldenTraceError(f"{path}:{number + 2}: step {number} {problem}")
    return GoldenTrace(path=path, header=header, steps=tuple(steps))


def _problem_of_header(header: Mapping[str, Any]) -> str | None:
    """What a header lacks of that which every reader here relies on."""
    for name, kind in (("cell", str), ("workload", dict), ("engine", dict)):
        if name not in header:
            return f"has no {name!r}"
        if not isinstance(header[name], kind):
            return f"has {name!r} of another kind: {header[name]!r}"
    workload = header["workload"]
    if not isinstance(workload.get("digest"), str):
        return "has no 'workload.digest': a digest says of which requests a trace is"
    requests = workload.get("requests", [])
    if not isinstance(requests, list) or not all(isinstance(one, dict) and "rid" in one for one in requests):
        return "has 'workload.requests' that are no list of requests, each with a 'rid'"
    left_out = header.get("left_out", [])
    if not isinstance(left_out, list) or not all(isinstance(one, str) for one in left_out):
        return f"has 'left_out' that is no list of names: {left_out!r}"
    return None


def _header(record: RunRecord, workload: Workload, engine: Mapping[str, Any]) -> dict[str, Any]:
    cell = record.cell
    model = LinearForwardTime()
    return {
        "format": FORMAT,
        "version": VERSION,
        "engine": dict(engine),
        "cell": cell.id,
        "page_size": cell.engine.page_size,
        "settings": cell.engine.to_json(),
        "levels": cell.levels.to_json(),
        "outcome": record.result.outcome,
        "steps": len(record.result.log),
        "decision_digest": record.result.log.digest,
        "clock": {
            "model": model.name,
            "base_ns": model.base_ns,
            "prefill_token_ns": model.prefill_token_ns,
            "decode_request_ns": model.decode_request_ns,
            "kv_token_read_ns": model.kv_token_read_ns,
        },
        "workload": {
            "spec": cell.workload,
            "digest": workload.digest,
            "token_expansion": EXPANSION_VERSION,
            "emitted_token": record.result.facts.emitted_token if record.result.facts is not None else None,
            "warmup_requests": [_request(one) for one in workload.warmup_requests],
            "requests": [_request(one) for one in workload.requests],
        },
    }


def _request(request: Request) -> dict[str, Any]:
    values: dict[str, Any] = {
        "rid": request.rid,
        "arrival_seconds": request.arrival_seconds,
        "prompt": [[part.seed, part.length] for part in request.prompt],
        "max_new_tokens": request.max_new_tokens,
    }
    for name in ("after", "priority"):
        if getattr(request, name) is not None:
            values[name] = getattr(request, name)
    return values
