"""Which switches an unreached line leads to: those that its guard names first, then those that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exhausters.compare.switches import Switch, find_switches
from exhausters.pressure.levels import PressureLevels
from exhausters.reach.reached import Reach, UnreachedLines
from exhausters.sweep.cell import Cell, EngineSettings

_DEFAULTS = {
    "retraction_policy": "length",
    "enable_mixed_chunk": False,
    "disable_overlap_schedule": False,
    "max_queued": None,
    "prefill_delay": 0,
    "nccl_port": None,
}


def _found(tmp_path: Path, guard: str, line: str = "pass") -> list[str]:
    (tmp_path / "a.py").write_text(f"def f():\n    {line}\n")
    place = UnreachedLines(file="a.py", side="head", first_line=2, last_line=2, guard=guard)
    reach = Reach(changed=1, reached=0, unreached=(place,))
    return [str(one) for one in find_switches(reach, base=tmp_path, head=tmp_path, defaults=_DEFAULTS)]


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        ("self.server_args.retraction_policy == 'priority'", ["server_args.retraction_policy=priority"]),
        ("not (server_args.retraction_policy != 'priority')", ["server_args.retraction_policy=priority"]),
        ("self.enable_mixed_chunk and batch.ready", ["mixed_chunk=true"]),
        ("server_args.disable_overlap_schedule", ["overlap=false"]),
        ("not (self.enable_overlap)", ["overlap=false"]),
        ("self.enable_overlap", []),  # so it is already
        ("self.retraction_policy in {'new', 'cost', 'age'}", ["server_args.retraction_policy=age"]),
        ("args.max_queued is not None", ["server_args.max_queued=1"]),
        ("args.prefill_delay > 4", ["server_args.prefill_delay=5"]),
        ("envs.SGLANG_FORCE_IT.get()", ["env.SGLANG_FORCE_IT=1"]),
        ("os.environ.get('SGLANG_MODE') == 'slow'", ["env.SGLANG_MODE=slow"]),
        ("not get_bool_env_var('SGLANG_FORCE_IT')", ["env.SGLANG_FORCE_IT=0"]),
        ("self.retraction_policy == 'length'", []),  # so it is already
        ("for one in self.waiting", []),
        ("len(batch) > 3", []),
    ],
)
def test_a_guard_names_the_switch_and_its_value(tmp_path: Path, guard: str, expected: list[str]) -> None:
    """The value is the one that meets the condition; what is no switch of the build is left alone."""
    assert _found(tmp_path, guard) == expected


def test_variables_of_one_thing_are_a_family() -> None:
    """Weights of one formula share their first words; short names and other axes have no family."""
    place = UnreachedLines(file="a.py", side="head", first_line=1, last_line=1)
    families = [
        Switch(axis=axis, value="1", unreached=place).family
        for axis in (
            "env.SGLANG_RECV_SKIPPER_WEIGHT_DECODE",
            "env.SGLANG_RECV_SKIPPER_WEIGHT_TARGET_VERIFY",
            "env.SGLANG_FORCE_IT",
            "server_args.a_long_name_of_a_switch",
        )
    ]
    assert families == ["SGLANG_RECV_SKIPPER_WEIGHT"] * 2 + [""] * 2


def test_a_line_names_switches_too(tmp_path: Path) -> None:
    """Where no guard is known, words of the changed lines that are switches are tried."""
    assert _found(tmp_path, "", "return self.enable_mixed_chunk or envs.SGLANG_NEW.get()") == [
        "mixed_chunk=true",
        "env.SGLANG_NEW=1",
    ]


@pytest.mark.parametrize(
    ("axis", "value", "expected"),
    [
        ("server_args.retraction_policy", "priority", "server_args.retraction_policy=priority"),
        ("env.SGLANG_NEW", "1", "env.SGLANG_NEW=1"),
        ("overlap", False, "overlap=false"),
        ("server_args.device", "cuda", None),  # the harness sets it
        ("overlap", True, None),  # the cell has it
    ],
)
def test_a_switch_makes_another_cell(axis: str, value: Any, expected: str | None) -> None:
    """The setting is added to the cell's engine; what a grid cannot set makes no cell."""
    place = UnreachedLines(file="a.py", side="head", first_line=1, last_line=1)
    cell = Switch(axis=axis, value=value, unreached=place).applied_to(Cell(workload="bursts"))
    assert (cell is None) if expected is None else (cell is not None and expected in cell.id)


def test_a_cell_of_the_pool_says_what_a_switch_needs_beside_it() -> None:
    """The near cell gets the settings of a cell that has it; its sizes, pressure and workload stay."""
    lines = UnreachedLines(file="a.py", first_line=1, last_line=1, side="head", guard="", is_imported=True)
    switch = Switch(axis="server_args.retraction_policy", value="priority", unreached=lines)
    settings = EngineSettings(
        priority_scheduling=True, max_running_requests=8, server_args=(("retraction_policy", "priority"),)
    )
    known = Cell(workload="agents:priorities=3", engine=settings)
    near = Cell(
        workload="bursts:bursts=1",
        levels=PressureLevels(leave_pages=8),
        engine=EngineSettings(
            page_size=1,
            max_running_requests=32,
            server_args=(("stream_interval", 4),),
            env=(("SGLANG_X", "1"),),
        ),
    )
    found = switch.beside([near, known], near=near)
    assert found is not None
    assert found.workload == "bursts:bursts=1,priorities=3"
    assert found.levels == near.levels
    assert found.engine.priority_scheduling
    assert (found.engine.page_size, found.engine.max_running_requests) == (1, 32)
    assert dict(found.engine.server_args) == {"stream_interval": 4, "retraction_policy": "priority"}
    assert found.engine.env == near.engine.env
    assert switch.beside([near], near=near) is None
    lora = EngineSettings(server_args=(("enable_lora", True), ("max_loras_per_batch", 4)))
    adapters = Cell(workload="agents:adapters=6", engine=lora)
    found = Switch(axis="server_args.enable_lora", value=True, unreached=lines).beside([adapters], near=near)
    assert found is not None
    assert found.workload == "bursts:adapters=6,bursts=1"
    size = Switch(axis="max_running_requests", value=8, unreached=lines)
    assert size.beside([known], near=near) is None


def test_what_is_asked_of_the_model_leads_to_a_null_model(tmp_path: Path) -> None:
    """A guard on a kind of model is met by the null model of that kind."""
    (tmp_path / "a.py").write_text("def f():\n    pass\n")
    place = UnreachedLines(file="a.py", side="head", first_line=2, last_line=2, guard="ctx.is_hybrid")
    reach = Reach(changed=1, reached=0, unreached=(place,))
    (found,) = find_switches(
        reach, base=tmp_path, head=tmp_path, defaults={}, models={"is_hybrid": "hybrid_swa"}
    )
    assert str(found) == "model=hybrid_swa"
    applied = found.applied_to(Cell(workload="bursts"))
    assert applied is not None
    assert applied.engine.model == "hybrid_swa"
