from __future__ import annotations

import inspect
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhausters.errors import WorkloadError
from exhausters.workloads import BUILDERS, READERS, WorkloadSpec, agents, build, parse_spec, parse_workload


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("shared_prefix", "shared_prefix"),
        (" agents : turns=4 , seed=3".replace(" :", ":"), "agents:seed=3,turns=4"),
        ("agents:seed=0", "agents"),
        ("bursts:burst_gap_seconds=2", "bursts:burst_gap_seconds=2.0"),
        ("mooncake:a/b.jsonl", "mooncake:path=a/b.jsonl"),
        ("mooncake:a.jsonl,scale=0.0625", "mooncake:path=a.jsonl,scale=1/16"),
        ("mooncake:scale=1/32,path=a.jsonl", "mooncake:path=a.jsonl,scale=1/32"),
        ("mooncake:a%2Cb%3Dc%25.jsonl", "mooncake:path=a%2Cb%3Dc%25.jsonl"),
        ("azure:a.csv,skip_bad_lines=true,max_requests=none", "azure:path=a.csv,skip_bad_lines=true"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    """Specs that mean the same have one text, and that text means the same again."""
    spec = parse_spec(text)
    assert spec.text == canonical
    assert parse_spec(canonical) == spec
    assert hash(parse_spec(canonical)) == hash(spec)


@given(path=st.text(min_size=1).filter(lambda s: s == s.strip() and "\0" not in s))
def test_any_path_survives(path: str) -> None:
    """A path with commas, equals signs or anything else can be written in a spec."""
    spec = WorkloadSpec(name="azure", arguments={"path": path})
    assert parse_spec(spec.text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "workload='': is unknown"),
        ("nonsense:a=1", "workload='nonsense': is unknown; the builders are agents"),
        ("agents:", "'': must be key=value"),
        ("agents:turns", "'turns': must be key=value"),
        ("agents:turns=", "'turns=': must be key=value"),
        ("agents:turns=4,turns=5", "turns: is given twice"),
        ("agents:turns=four", "turns='four': must be of type int"),
        ("agents:turns=4.0", "turns='4.0': must be of type int"),
        ("agents:mean_gap_seconds=x", "mean_gap_seconds='x': must be of type float"),
        ("agents:mean_gap_seconds=nan", "nan: must be finite"),
        ("agents:turns=none", "turns=None: must be an integer"),
        ("agents:size=4", "size: is unknown; the arguments are adapters, conversations"),
        ("mooncake", "path: is missing"),
        ("mooncake:a,b", "'b': must be key=value"),
        ("mooncake:a,skip_bad_lines=yes", "skip_bad_lines='yes': must be true or false"),
        ("mooncake:a,scale=1/0", "scale='1/0': must be a finite number or a fraction"),
        ("mooncake:a,scale=1e999999999", "must be a finite number or a fraction"),
    ],
)
def test_bad_spec_is_refused(text: str, message: str) -> None:
    """A spec that cannot be understood names the part that cannot, and what would be."""
    with pytest.raises(WorkloadError, match=message):
        parse_workload(text)


def test_workload_carries_its_spec() -> None:
    """A record can say how to build its workload again."""
    workload = parse_workload("agents:turns=2,seed=0")
    assert workload.source["spec"] == "agents:turns=2"
    assert workload == agents(turns=2)
    assert parse_workload(str(workload.source["spec"])).digest == workload.digest


def test_spec_of_a_trace_hides_its_folder(write: Callable[..., Path]) -> None:
    """Where a trace lies on one machine does not enter the records."""
    path = write("t.csv", "TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16 18:17:03.9,8,2")
    workload = build("azure", path=path, scale=Fraction(1, 2))
    assert workload.source["spec"] == "azure:path=t.csv,scale=1/2"
    assert str(path.parent) not in str(dict(workload.source))


@pytest.mark.parametrize("path", [None, 3, ""])
def test_path_must_be_a_path(path: object) -> None:
    """A path that is none is refused by name, not read as a file called None."""
    with pytest.raises(WorkloadError, match="path="):
        build("azure", path=path)


def test_every_source_can_be_written_as_text() -> None:
    """All arguments of all builders and readers are of kinds that the spec syntax knows."""
    for name, function in {**BUILDERS, **READERS}.items():
        assert function.__doc__, name
        kinds = {p.annotation for p in inspect.signature(function, eval_str=True).parameters.values()}
        assert kinds <= {int, float, bool, str, int | None, Fraction | float | str, _path_kind()}, name


def _path_kind() -> object:
    return inspect.signature(READERS["azure"], eval_str=True).parameters["path"].annotation
