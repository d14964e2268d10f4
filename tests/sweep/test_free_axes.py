"""Free axes: any keyword of `ServerArgs`, any variable of the worker, as part of a cell's identity."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhausters.engine.load import reserved
from exhausters.engine.settings import HostSettings
from exhausters.errors import GridError, UnsupportedSettingError
from exhausters.sweep import workers
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.free_axes import NAMED_KEYWORDS, text_of
from exhausters.sweep.grid import load_grid, parse_grid
from exhausters.sweep.record import DRAINED, FAILURES, OUTCOMES, UNSUPPORTED
from exhausters.sweep.runner import sweep
from exhausters.worker.environment import RESERVED_VARIABLES
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_grid, a_target

_TOML = """
[axes]
workload = ["bursts"]
page_size = [16]
server_args.max_prefill_tokens = [512, 1024]
env.SGLANG_INIT_NEW_TOKEN_RATIO = ["0.5"]
"""


def test_dotted_keys_are_axes(tmp_path: Path) -> None:
    """A TOML file has them as dotted keys; ids and records name them, with the values as they were given."""
    path = tmp_path / "mine.toml"
    path.write_text(_TOML)
    grid = load_grid(str(path))
    assert grid.free_axes == ("server_args.max_prefill_tokens", "env.SGLANG_INIT_NEW_TOKEN_RATIO")
    assert [cell.id.split("/")[1] for cell in grid.cells] == [
        f"p16,server_args.max_prefill_tokens={tokens},env.SGLANG_INIT_NEW_TOKEN_RATIO=0.5"
        for tokens in (512, 1024)
    ]
    assert grid.cells[0].to_json()["engine"]["server_args.max_prefill_tokens"] == 512
    quoted = {
        "workload": ["bursts"],
        "page_size": [16],
        "server_args.max_prefill_tokens": [512, 1024],
        "env.SGLANG_INIT_NEW_TOKEN_RATIO": ["0.5"],
    }
    assert parse_grid({"axes": quoted}, source="x").digest == grid.digest


def test_they_are_part_of_the_digest_only_where_given() -> None:
    """A grid without free axes has the digest it had before there were any; with them it has another."""
    plain = a_grid(leave_pages=["all", 8])
    cells = [
        {
            "workload": "bursts",
            "levels": {"leave_pages": pages, "leave_refs": None, "leave_rows": None, "held": False},
            "engine": {
                "page_size": 16,
                "policy": "fcfs",
                "chunked_prefill_size": 256,
                "mixed_chunk": False,
                "overlap": True,
                "tree_core": "default",
                "radix_cache": True,
                "priority_scheduling": False,
                "max_total_tokens": 4096,
                "max_running_requests": 64,
                "model": "dense",
            },
        }
        for pages in (None, 8)
    ]
    assert [cell.to_json() for cell in plain.cells] == cells
    assert plain.digest != a_grid(leave_pages=["all", 8], server_args={"x": [1]}).digest
    assert load_grid("quick").digest == "454ec176986ecd7508e81c3754fc404ee7c0ad2cd1f262b9b946a843818cb7a9"


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ({"server_args": {"page_size": [1]}}, "server_args.page_size: use the axis 'page_size' instead"),
        ({"server_args": {"schedule_policy": ["lpm"]}}, "use the axis 'policy' instead"),
        ({"server_args": {"disable_radix_cache": [True]}}, "use the axis 'radix_cache' instead"),
        ({"server_args": {"device": ["cuda"]}}, "server_args.device: the harness sets it to 'cpu'"),
        ({"server_args": {"ep_size": [2]}}, "server_args.ep_size: there are no such ranks here"),
        ({"server_args": {"model_path": ["x"]}}, "use the axis 'model' instead"),
        ({"server_args": {"moe_runner_backend": ["x"]}}, "has no meaning on a CPU without a model"),
        ({"server_args": {"max-prefill-tokens": [1]}}, "is not a ServerArgs keyword"),
        ({"server_args": {"x": [{"a": 1}]}}, "server_args.x={'a': 1}: expected text, a number"),
        ({"server_args": {"x": [float("nan")]}}, "server_args.x=nan: expected a finite number"),
        ({"server_args": {"x": [1, True]}}, "server_args.x: 1 and True are equal in Python"),
        ({"server_args": {"x": 1}}, "server_args.x = 1: expected a list"),
        ({"server_args": [1]}, "server_args = [1]: expected server_args.NAME = [...]"),
        ({"server": {"x": [1]}}, "no axis 'server'; the axes are workload,"),
        (
            {"env": {"PYTHONHASHSEED": ["1"]}},
            "env.PYTHONHASHSEED: the harness sets it itself, as it does CUDA_",
        ),
        (
            {"env": {"SGLANG_UNIFIED_RADIX_TREE_CORE_BACKEND": ["rust"]}},
            "use the axis 'tree_core' instead",
        ),
        ({"env": {"SGLANG_X": [512]}}, 'env.SGLANG_X=512: expected text, e.g. "512"'),
        ({"env": {"A B": ["1"]}}, "env.A B: is not a valid name of an environment variable"),
    ],
)
def test_what_a_grid_cannot_set_is_refused(axes: dict[str, Any], told: str) -> None:
    """What another axis or the harness sets is a GridError that says what to do instead."""
    with pytest.raises(GridError, match=r"grid 'sample'") as caught:
        a_grid(**axes)
    assert told in str(caught.value)


def test_refusals_are_those_of_what_is_set() -> None:
    """Every keyword that an axis sets has its axis named, and what the harness sets is refused."""
    keywords = EngineSettings(policy="lpm", mixed_chunk=True, overlap=False).engine_keywords()
    assert set(NAMED_KEYWORDS) == set(keywords)
    assert set(NAMED_KEYWORDS.values()) == {one.name for one in fields(EngineSettings)} - {
        "tree_core",
        "model",
        "speculative_accept",
        "server_args",
        "env",
    }
    assert {name: keywords[name] for name in ("schedule_policy", "enable_mixed_chunk")} == {
        "schedule_policy": "lpm",
        "enable_mixed_chunk": True,
    }
    assert (keywords["disable_overlap_schedule"], keywords["disable_radix_cache"]) == (True, False)
    for name in reserved().FORCED:
        with pytest.raises(GridError, match=f"server_args.{name}"):
            EngineSettings(server_args=((name, 1),))
    for name in RESERVED_VARIABLES | reserved().RESERVED_VARIABLES:
        with pytest.raises(GridError, match=f"env.{name}"):
            EngineSettings(env=((name, "1"),))


def test_order_makes_no_difference() -> None:
    """Equal settings are equal, share a worker and have one id, in whatever order they were given."""
    one = EngineSettings(server_args=(("a", 1), ("b", [2, 3])))  # type: ignore[arg-type]
    other = EngineSettings(server_args=(("b", (2, 3)), ("a", 1)))
    assert (one, hash(one), one.label) == (other, hash(other), other.label)


_values = st.one_of(
    st.text(max_size=4), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
)


@given(_values, _values)
def test_values_that_differ_have_different_texts(one: Any, other: Any) -> None:
    """No two values share an id, not even 1, true, 1.0 and "1"; none has what divides an id."""
    same = type(one) is type(other) and repr(one) == repr(other)
    assert (text_of(one) == text_of(other)) is same
    assert not set(text_of(one)) & {",", "/", "=", "\n"}


def test_the_worker_gets_them_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keywords reach the worker as switches that must be taken, variables as its environment."""
    booted: list[HostSettings] = []
    monkeypatch.setattr(workers, "Host", FakeHost)
    monkeypatch.setattr(FakeHost, "on_boot", staticmethod(booted.append))
    monkeypatch.setattr(FakeHost, "known_switches", ("max_prefill_tokens",))
    grid = a_grid(server_args={"max_prefill_tokens": [512]}, env={"SGLANG_X": ["0.5"]})
    (record,) = sweep(a_target(), grid, executor=LocalExecutor(workers=1))
    assert record.result.outcome == DRAINED
    assert dict(booted[0].switches) == {"max_prefill_tokens": 512}
    assert dict(booted[0].environment) == {"SGLANG_X": "0.5"}
    assert "max_prefill_tokens" not in booted[0].engine


def test_a_refusal_is_an_outcome_of_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells with what this SGLang lacks are unsupported, tried once, and the other cells run."""
    said = "server_args.x=2: this SGLang has no such switch"
    tried: list[HostSettings] = []

    def on_boot(settings: HostSettings) -> None:
        tried.append(settings)
        if settings.switches["x"] == 2:
            raise UnsupportedSettingError(said)

    monkeypatch.setattr(workers, "Host", FakeHost)
    monkeypatch.setattr(FakeHost, "on_boot", staticmethod(on_boot))
    monkeypatch.setattr(FakeHost, "known_switches", ("x",))
    grid = a_grid(leave_pages=["all", 64], server_args={"x": [1, 2]})
    records = sweep(a_target(), grid, executor=LocalExecutor(workers=1))
    assert [record.result.outcome for record in records] == [DRAINED, DRAINED, UNSUPPORTED, UNSUPPORTED]
    assert {record.result.reason for record in records[2:]} == {said}
    assert len(tried) == 2


def test_unsupported_is_the_last_outcome_and_no_failure() -> None:
    """asv keeps the place in the list: places of the older outcomes stay; a lack is no failure of a run."""
    assert OUTCOMES[-1] == UNSUPPORTED
    assert OUTCOMES.index("timeout") == 5
    assert UNSUPPORTED not in FAILURES


def test_records_are_plain_json() -> None:
    """A record with free settings survives JSON, lists included."""
    cell = Cell(workload="bursts", engine=EngineSettings(server_args=(("a", (1, 2)),)))
    assert json.loads(json.dumps(cell.to_json()))["engine"]["server_args.a"] == [1, 2]
