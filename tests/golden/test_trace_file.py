"""The form of golden traces, and their comparison; nothing is booted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exhausters.cli.app import app
from exhausters.errors import GoldenTraceError
from exhausters.golden.differ import first_difference
from exhausters.golden.trace_file import COMPARED, GoldenTrace, read_trace, step_line
from exhausters.golden.traces import cell_of, file_names, read_traces
from exhausters.observe.step_record import DECODE, PREFILL, StepRecord
from exhausters.workloads import parse_workload
from exhausters.workloads.tokens import expand
from tests.sweep.samples import a_grid

PUBLISHED = Path(__file__).parents[2] / "docs" / "golden"


def _published() -> list[GoldenTrace]:
    return read_traces(PUBLISHED)


def _rewritten(trace: GoldenTrace, path: Path, *, header: dict[str, Any] | None = None, **steps: Any) -> Path:
    """Write the trace with other header entries; `steps` maps `sNUMBER` to changed fields."""
    lines = [{**trace.header, **(header or {})}]
    lines += [{**step, **steps.get(f"s{step['step']}", {})} for step in trace.steps]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_published_traces_tell_their_workload() -> None:
    """Each header has all that this harness would make of its spec, and names nothing of a machine."""
    traces = _published()
    assert 3 <= len(traces) <= 6
    assert sum(one.path.stat().st_size for one in traces) < 300_000
    for trace in traces:
        cell = cell_of(trace)
        workload = parse_workload(cell.workload)
        listed = trace.header["workload"]["requests"]
        assert trace.rids == [one.rid for one in workload.requests]
        assert [one["prompt"] for one in listed] == [
            [[part.seed, part.length] for part in one.prompt] for one in workload.requests
        ]
        assert trace.path.stem == file_names([cell])[cell.id]
        assert len(trace.steps) == trace.header["steps"]
        assert "/" not in trace.header["engine"]["target"]


def test_the_page_tells_which_traces_have_a_warm_up() -> None:
    """Each trace that has warm-up requests, how many, and what step 0 finds of them in the cache."""
    page = (PUBLISHED.parent / "golden.md").read_text()
    table = re.findall(r"^\| `([\w-]+\.jsonl)` \| (\d+) \| (\d+) \|$", page, flags=re.MULTILINE)
    counts = {trace.path.name: len(trace.header["workload"]["warmup_requests"]) for trace in _published()}
    found = {trace.path.name: trace.steps[0]["prefix"] for trace in _published()}
    assert [(name, int(count), [int(prefix)]) for name, count, prefix in table] == [
        (name, count, found[name]) for name, count in counts.items() if count
    ]
    # Without a warm-up nothing is in the cache.
    assert not any(sum(found[name]) for name, count in counts.items() if not count)


def test_a_warm_up_ends_before_anything_is_withheld() -> None:
    """As docs/golden.md says: a level holds beside the tokens that the warm-up has left in the cache."""
    (trace,) = (one for one in _published() if one.header["levels"]["leave_pages"])
    first, page = trace.steps[0], trace.header["page_size"]
    warm = sum(length for one in trace.header["workload"]["warmup_requests"] for _, length in one["prompt"])
    computed = sum(-(-tokens // page) * page for tokens in first["tokens"])
    # Free pages were left, and the first batch has taken its own of them; what is cached comes on top.
    assert first["free"] + computed == trace.header["levels"]["leave_pages"] * page
    assert first["protected"] + first["evictable"] == warm


def test_published_traces_show_what_they_are_for() -> None:
    """Between them they have chunks, hits, evictions, retractions, withheld pages and both event loops."""
    traces = _published()
    steps = [step for trace in traces for step in trace.steps]
    for name in ("chunked", "prefix", "evicted", "retracted", "withheld", "submitted"):
        assert any(step.get(name) for step in steps), name
    assert {trace.header["settings"]["overlap"] for trace in traces} == {True, False}


def test_every_request_is_submitted_once_and_computed_in_full() -> None:
    """A trace is complete: tokens of a request's prefills and hits add up to its prompt, at least."""
    for trace in _published():
        submitted = [number for step in trace.steps for number in step.get("submitted", [])]
        assert sorted(submitted) == list(range(len(trace.rids)))
        first: dict[int, int] = {}
        for step in trace.steps:
            if step["mode"] == PREFILL:
                for number, tokens, prefix in zip(
                    step["requests"], step["tokens"], step["prefix"], strict=True
                ):
                    first[number] = tokens + prefix
        for number, request in enumerate(trace.header["workload"]["requests"]):
            assert first[number] >= sum(length for _, length in request["prompt"])


def test_token_ids_are_made_by_the_documented_rule() -> None:
    """What docs/golden.md says of a segment's token ids is what this harness sends."""
    import hashlib

    seed, length = 123_456_789_012_345, 9
    words = hashlib.shake_128(f"exhausters:{seed}".encode()).digest(2 * length)
    body = [int.from_bytes(words[2 * place : 2 * place + 2], "little") for place in range(length)]
    first = 65_536 + seed * 1_640_531_527 % (2**31 - 1 - 65_536)
    assert list(expand(seed, length)) == [first, *body[1:]]


def test_a_trace_is_the_same_as_itself(tmp_path: Path) -> None:
    """Also without the fields that it says it leaves out."""
    trace = _published()[0]
    assert first_difference(trace, trace) is None
    bare = {name for name in COMPARED if name not in ("mode", "requests", "tokens")}
    lines = [{"left_out": sorted(bare), **trace.header}]
    lines += [{name: value for name, value in step.items() if name not in bare} for step in trace.steps]
    path = tmp_path / "bare.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert first_difference(trace, read_trace(path)) is None


def test_the_first_step_that_differs_is_named(tmp_path: Path) -> None:
    """With what differs in it, requests by their names; a later one is not told."""
    trace = _published()[0]
    names = trace.rids
    decodes = [step for step in trace.steps if step["mode"] == DECODE]
    early, late = decodes[2]["step"], decodes[5]["step"]
    changed = {
        f"s{early}": {"requests": [0], "free": 7, "chunked": 1},
        f"s{late}": {"mode": "idle"},
    }
    found = first_difference(trace, read_trace(_rewritten(trace, tmp_path / "other.jsonl", **changed)))
    assert found is not None
    assert found.step == early
    text = str(found)
    assert text.startswith(f"step {early}: requests [")
    assert f"→ [{names[0]}]" in text
    assert f"chunked none → {names[1]}" in text
    assert "→ 7" in text


def test_a_trace_that_ends_early_or_late_differs_there(tmp_path: Path) -> None:
    """The number of steps is compared where all shared ones agree."""
    trace = _published()[0]
    shorter = replace(trace, steps=trace.steps[:-1])
    found = first_difference(trace, shorter)
    assert found is not None
    assert str(found) == f"step {len(trace.steps) - 1}: steps {len(trace.steps)} → {len(trace.steps) - 1}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json\n", "not JSON Lines"),
        ("", "no header with format"),
        ('{"format": "other"}\n', "no header with format"),
        ('{"format": "exhausters-golden-trace", "version": 2}\n', "version 2; this reads version 1"),
        ('{"format": "exhausters-golden-trace", "version": 1}\n', "the header has no 'cell'"),
        (
            '{"format": "exhausters-golden-trace", "version": 1, "cell": "", "engine": {},'
            ' "workload": {"digest": ""}}\n'
            '{"step": 0, "mode": "idle", "requests": []}\n',
            ":2: step 0 has no tokens",
        ),
        (
            '{"format": "exhausters-golden-trace", "version": 1, "cell": "", "engine": {},'
            ' "workload": {"digest": ""}}\n'
            '{"step": 3, "mode": "idle", "requests": [], "tokens": []}\n',
            ":2: step 0 is numbered 3",
        ),
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, content: str, said: str) -> None:
    """A file of something else, of another version, or with a step that is missing; the place is named."""
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    with pytest.raises(GoldenTraceError, match=said):
        read_trace(path)


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, [7], "left out"])
@pytest.mark.parametrize(
    "name", ["cell", "engine", "workload", "left_out", "workload.digest", "workload.requests"]
)
def test_a_header_that_lacks_something_is_refused(tmp_path: Path, name: str, value: object) -> None:
    """Whatever is missing or of another kind, on either side, is told by `compare` and never taken for a step
    that differs: 1 is an answer."""
    trace = _published()[0]
    header = json.loads(json.dumps(dict(trace.header)))
    *path, last = name.split(".")
    within = header[path[0]] if path else header
    within[last] = value
    if value == "left out":
        del within[last]
    lines = [header, *trace.steps]
    file = tmp_path / "other.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for pair in ((trace.path, file), (file, trace.path)):
        done = CliRunner().invoke(app, ["golden", "compare", *map(str, pair)])
        assert isinstance(done.exception, SystemExit | None), done.exception
        assert done.exit_code == 2 or "the same" in done.stdout
    if last == "digest":
        assert done.exit_code == 2


def test_a_trace_without_a_build_is_refused_by_check(tmp_path: Path) -> None:
    """Which build to run is not known: bad input, not a trace that differs."""
    _rewritten(_published()[0], tmp_path / "x.jsonl", header={"engine": {"name": "mine"}})
    done = CliRunner().invoke(app, ["golden", "check", str(tmp_path)])
    assert done.exit_code == 2
    assert "no 'target'" in done.stderr


def test_requests_that_there_are_not_differ(tmp_path: Path) -> None:
    """Numbers beyond the workload are shown as they are."""
    trace = _published()[0]
    other = read_trace(_rewritten(trace, tmp_path / "x.jsonl", s0={"requests": [-999, 999], "chunked": -9}))
    found = first_difference(trace, other)
    assert found is not None
    assert "[-999, 999]" in str(found)
    assert "→ -9" in str(found)


def test_another_workload_is_refused(tmp_path: Path) -> None:
    """Traces of two workloads are not compared, nor one without the fields that every trace must have."""
    trace = _published()[0]
    workload = {**trace.header["workload"], "digest": "f" * 64}
    other = read_trace(_rewritten(trace, tmp_path / "other.jsonl", header={"workload": workload}))
    with pytest.raises(GoldenTraceError, match="expected a trace of the same workload"):
        first_difference(trace, other)
    bare = read_trace(_rewritten(trace, tmp_path / "bare.jsonl", header={"left_out": ["tokens"]}))
    with pytest.raises(GoldenTraceError, match="every trace must have"):
        first_difference(trace, bare)


def test_files_of_no_two_cells_have_one_name() -> None:
    """Cells that differ in what a name does not tell have a digest in theirs."""
    cells = a_grid(policy=["fcfs", "lpm"], overlap=[True, False], leave_pages=["all", 64]).cells
    names = file_names(cells)
    assert len(set(names.values())) == len(cells)
    assert all(name.startswith("bursts-p16-") for name in names.values())
    assert file_names(cells[:1])[cells[0].id] == "bursts-p16-overlap"


def test_zero_and_none_may_be_left_out_of_a_line() -> None:
    """So that decode steps stay short; a number that is not 0 is there."""
    step = StepRecord(step=0, mode=DECODE, rids=("a",), tokens=(1,), free_tokens=0, waiting=2)
    line = step_line(step, {"a": 4}, [])
    assert line["requests"] == [4]
    assert (line["free"], line["waiting"]) == (0, 2)
    assert {"submitted", "prefix", "chunked", "retracted", "evicted", "withheld"}.isdisjoint(line)
