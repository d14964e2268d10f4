"""Calls by phase, on plain functions; operators need torch and are tested on the real scheduler."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from exhausters.engine.api import EVICT, FORM_BATCH, RUN
from exhausters.observe.phases import PHASES
from exhausters.observe.work import WorkCounter, work_metrics


def _leaf() -> int:
    return len("four")


def _calls(count: int) -> None:
    for _ in range(count):
        _leaf()


def _operator(name: str, *, returns: list[tuple[str, bool]]) -> Any:
    """A function with an operator's schema; `returns` are (type, whether it is an alias)."""

    def run(*args: Any, **keywords: Any) -> str:
        return name

    schema = SimpleNamespace(
        name=name,
        returns=[SimpleNamespace(type=kind, alias_info="a" if alias else None) for kind, alias in returns],
    )
    run._schema = schema  # type: ignore[attr-defined]
    return run


def test_calls_belong_to_the_phase_that_makes_them() -> None:
    """Python and C calls are counted for the phase that is on, exactly, and for none when none is."""
    counter = WorkCounter()
    _calls(100)
    counter.enter(FORM_BATCH)
    _calls(3)
    counter.enter(RUN)
    _calls(5)
    counter.leave()
    _calls(100)
    python, native, _ = counter.calls()
    assert {phase: python[phase] for phase in (FORM_BATCH, RUN, EVICT)} == {
        FORM_BATCH: 3 + 1,
        RUN: 5 + 1,
        EVICT: 0,
    }
    assert (native[FORM_BATCH], native[RUN]) == (3, 5)


def test_repeated_phases_add_up() -> None:
    """A phase that comes again goes on counting, so equal work gives equal counts in any order."""
    counts = []
    for order in ([RUN, EVICT, RUN], [EVICT, RUN, RUN]):
        counter = WorkCounter()
        for phase in order:
            counter.enter(phase)
            _leaf()
        counter.leave()
        counts.append(counter.calls())
    assert counts[0] == counts[1]
    assert counts[0][0][RUN] == 2


def test_operators_by_phase() -> None:
    """Operators are counted for the phase that asks; synchronising ones and new tensors are told apart."""
    counter = WorkCounter()
    add = _operator("aten::add", returns=[("Tensor", False)])
    view = _operator("aten::view", returns=[("Tensor", True)])
    item = _operator("aten::_local_scalar_dense", returns=[("Scalar", False)])
    counter.run_operator(add, (), {})  # no phase: run, not counted
    counter.enter(RUN)
    assert [counter.run_operator(one, (), {}) for one in (add, add, view)] == ["aten::add"] * 2 + [
        "aten::view"
    ]
    counter.enter(EVICT)
    counter.run_operator(item, (), {})
    counter.leave()
    every, waiting, made = counter.operators()
    assert (every[RUN], every[EVICT], sum(every.values())) == (3, 1, 4)
    assert (waiting[RUN], waiting[EVICT]) == (0, 1)
    assert (made[RUN], made[EVICT]) == (2, 0)


def test_what_an_operator_does_is_not_counted() -> None:
    """Calls within an operator are torch's and not the scheduler's, so they are in no count."""
    counter = WorkCounter()

    def inner() -> None:
        _calls(50)

    counter.enter(RUN)
    counter.run_operator(inner, (), {})
    counter.leave()
    python, _, _ = counter.calls()
    assert python[RUN] == 0


def test_an_operator_that_raises_goes_on_being_counted() -> None:
    """A failing operator's error goes through, and the phase counts on after it."""
    counter = WorkCounter()

    def broken() -> None:
        raise KeyError("planted")

    counter.enter(RUN)
    try:
        counter.run_operator(broken, (), {})
    except KeyError as error:
        told = str(error)
    _leaf()
    counter.leave()
    assert told == "'planted'"
    assert counter.calls()[0][RUN] == 1


def test_metrics_are_per_step() -> None:
    """Totals are counts, all others are divided by the steps, also by phase; without steps there is none."""
    counter = WorkCounter()
    counter.enter(RUN)
    _calls(9)
    counter.enter(EVICT)
    _calls(4)
    counter.leave()
    found = work_metrics(counter, steps=5)
    assert found["python_calls_per_step_run"] == 10 / 5
    assert found["python_calls_per_step_evict"] == 5 / 5
    assert found["python_calls_per_step"] == 15 / 5
    assert sum(found[f"c_calls_per_step_{phase}"] or 0 for phase in PHASES) == found["c_calls_per_step"]
    assert found["python_calls"] == 15
    without = work_metrics(counter, steps=0)
    assert {value for name, value in without.items() if "_per_step" in name} == {None}
