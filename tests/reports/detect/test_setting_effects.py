"""A workload that runs with several engine settings: what one of them loses is not diluted by the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from reports import compare, load_results, load_side
from reports.detect.cell_groups import cell_groups, settings_words
from reports.detect.effect import Effect
from reports.explain.comparison import Comparison
from reports.render.json_answer import answer_document
from reports.render.markdown import render_markdown
from reports.vocabulary import OUTCOME
from tests.reports.make import HEAD, METRICS, cells, write_pairs, write_sweep

P50, P99 = "time_to_first_token_p50_seconds", "time_to_first_token_p99_seconds"
NUMBERS = METRICS | {
    P50: 0.2,
    P99: 1.0,
    "python_calls": 100_000,
    "python_calls_per_step": 1000.0,
    "shortened_requests": 5,
}
PAGE_SIZES = (1, 16, 32, 64)
FOUR = cells(page_sizes=PAGE_SIZES)
LOOPS = [
    Cell(workload=workload, levels=PressureLevels(leave_pages=left), engine=EngineSettings(overlap=overlap))
    for workload in ("agents", "shared_prefix")
    for left in (None, 64, 16)
    for overlap in (True, False)
]
CALLS = ("python_calls", "python_calls_per_step")
# What each metric is multiplied by in one cell.
Factors = Callable[[Cell], Mapping[str, float]]


def _compared(tmp_path: Path, grid: list[Cell], factors: Factors, **how: Any) -> Comparison:
    by_id = {cell.id: cell for cell in grid}

    def change(one: dict[str, Any]) -> dict[str, Any]:
        moved = factors(by_id[one["cell"]])
        ends = {} if "outcome" not in moved else {"outcome": "stalled"}
        numbers = {name: NUMBERS[name] * factor for name, factor in moved.items() if name != "outcome"}
        return one | {"metrics": NUMBERS | numbers} | ends

    base = write_sweep(tmp_path / "a", change=lambda one: one | {"metrics": NUMBERS}, grid=grid)
    head = write_sweep(tmp_path / "b", HEAD, change, grid=grid)
    return compare(load_side(str(base)), load_side(str(head)), **how)


def _whole(found: Comparison, metric: str) -> list[Effect]:
    return [one for one in found.effects if one.metric == metric and not one.settings]


def _page(size: int, **factors: float) -> Factors:
    return lambda cell: factors if cell.engine.page_size == size else {}


@pytest.mark.parametrize(("names", "factor"), [(CALLS, 1.1), ((P99,), 1.06)])
def test_a_loss_under_one_of_four_settings_is_worse(
    tmp_path: Path, names: tuple[str, ...], factor: float
) -> None:
    """Diluted by the other three it would not matter; it is told with the setting, and only that."""
    found = _compared(tmp_path, FOUR, _page(1, **dict.fromkeys(names, factor)))
    assert {one.verdict for one in _whole(found, names[0])} == {"neutral"}
    answer = found.decision
    assert (answer.verdict, answer.exit_code) == ("worse", 1)
    assert "(with page_size=1)" in answer.sentence
    assert answer.reasons == (f"{answer.lost[0].text}: worse",)


def test_a_gain_under_one_of_four_settings_is_better(tmp_path: Path) -> None:
    """The same the other way round, for one workload."""
    found = _compared(
        tmp_path, FOUR, lambda cell: _page(1, **{P99: 0.9})(cell) if cell.workload == "agents" else {}
    )
    assert found.decision.verdict == "better"
    assert "p99 −10 % (agents with page_size=1)" in found.decision.sentence


def test_a_loss_under_one_setting_for_a_win_under_another_is_a_trade_off(tmp_path: Path) -> None:
    """Both are named, and neither is summed away."""
    found = _compared(
        tmp_path, FOUR, lambda cell: _page(1, **{P99: 1.1})(cell) or _page(64, **{P99: 0.9})(cell)
    )
    answer = found.decision
    assert (answer.verdict, answer.exit_code) == ("trade-off", 1)
    assert "won time to first token p99 −10 % (with page_size=64)" in answer.sentence
    assert "lost time to first token p99 +10 % (with page_size=1)" in answer.sentence


@pytest.mark.parametrize("other", [1.06, 1.04])
def test_what_both_loops_say_is_said_once(tmp_path: Path, other: float) -> None:
    """Where both settings move alike the sentence names neither."""
    found = _compared(tmp_path, LOOPS, lambda cell: {P99: 1.06 if cell.engine.overlap else other})
    assert found.decision.sentence.count("time to first token") == 1
    assert "overlap" not in found.decision.sentence
    assert not [one for one in found.effects if one.settings]


def test_a_number_that_comes_from_one_setting_is_told_as_its(tmp_path: Path) -> None:
    """Over all cells it is +10 %, and no reader sees +10 % anywhere: it is +20 % without overlap."""
    found = _compared(tmp_path, LOOPS, lambda cell: {} if cell.engine.overlap else {P99: 1.2})
    assert found.decision.verdict == "worse"
    assert "p99 +20 % (without overlap)" in found.decision.sentence
    assert {one.verdict for one in _whole(found, P99)} == {"changed"}


@pytest.mark.parametrize(("factor", "verdict"), [(1.04, "neutral"), (1.06, "worse")])
def test_one_cell_is_judged_like_a_cell(tmp_path: Path, factor: float, verdict: str) -> None:
    """A setting with one cell needs the smallest effect of a cell: a batch more moves it by a few percent."""
    few = [*cells(workloads=("agents",), page_sizes=(16,)), *cells(("agents",), (None,), (1,))]
    assert _compared(tmp_path, few, _page(1, **{P99: factor})).decision.verdict == verdict


def test_a_request_cut_short_under_one_setting_is_material(tmp_path: Path) -> None:
    """However few, and whatever another setting wins; what this setting wins by it does not count."""
    found = _compared(
        tmp_path,
        LOOPS,
        lambda cell: {P99: 0.9} | ({} if cell.engine.overlap else {"shortened_requests": 1.2}),
    )
    assert found.decision.verdict == "trade-off"
    assert "shortened requests 15 → 18 (without overlap)" in found.decision.sentence
    assert "won time to first token p99 −10 % (with overlap)" in found.decision.sentence


def test_a_stall_under_one_setting_is_told_with_it(tmp_path: Path) -> None:
    """A stall always counts, and the setting is part of where."""
    found = _compared(
        tmp_path,
        LOOPS,
        lambda cell: {} if cell.engine.overlap or cell.levels.leave_pages is None else {"outcome": 1},
    )
    assert found.decision.verdict == "worse"
    assert "without overlap" in found.decision.sentence


def test_time_that_was_measured_elsewhere_overrules_nothing(tmp_path: Path) -> None:
    """Equal CPU time with page_size=16 says nothing of calls with page_size=1, and all of those with 16."""
    timed = [cell for cell in FOUR if cell.engine.page_size == 16]
    pairs = load_results([write_pairs(tmp_path / "p", timed, pairs=12, noise=0.001)])
    more = dict.fromkeys(CALLS, 1.1)
    untimed = _compared(tmp_path / "x", FOUR, _page(1, **more), pairs=pairs)
    assert untimed.decision.verdict == "worse"
    assert "Python calls +10 % (with page_size=1)" in untimed.decision.sentence
    overruled = _compared(tmp_path / "y", FOUR, _page(16, **more), pairs=pairs)
    assert overruled.decision.verdict == "neutral"


def test_a_claim_is_held_to_under_every_setting(tmp_path: Path) -> None:
    """A refactor that costs more under one setting is none, and the clause says which."""
    found = _compared(tmp_path, FOUR, _page(1, **dict.fromkeys(CALLS, 1.1)), claim="refactor")
    assert found.decision.exit_code == 1
    assert "python_calls with page_size=1 is worse" in found.decision.claim.text


def test_the_tightest_pressure_is_that_of_the_setting(tmp_path: Path) -> None:
    """With pages of one token 64 are few, beside another setting that is left 16."""
    grid = [*cells(("agents",), (None, 256, 64), (1,)), *cells(("agents",), (None, 64, 16), (16,))]
    found = _compared(
        tmp_path,
        grid,
        lambda cell: {P99: 1.3} if (cell.engine.page_size, cell.levels.leave_pages) == (1, 64) else {},
    )
    assert "+30 % under tight pressure (with page_size=1)" in found.decision.sentence


def test_every_report_shows_the_setting(tmp_path: Path) -> None:
    """The table has a row for it, the document a field; the screen stays one."""
    found = _compared(tmp_path, FOUR, _page(1, **{P99: 1.06}))
    screen, _, _ = render_markdown(found).partition("<details>")
    assert "| `agents` with page_size=1 |" in screen
    assert len(screen.splitlines()) <= 40
    document = answer_document(found)
    assert document["answer"]["lost"][0]["settings"] == ["with page_size=1"]
    assert {one["settings"] for one in document["effects"]} == {"", "with page_size=1"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, ""),
        ({"page_size": 16}, "with page_size=16"),
        ({"overlap": True}, "with overlap"),
        ({"overlap": False}, "without overlap"),
        ({"page_size": 16, "overlap": False}, "with page_size=16, without overlap"),
        ({"page_size": 1, "overlap": False}, "with page_size=1, without overlap"),
        ({"page_size": 16, "overlap": True}, "with default settings"),
        ({"page_size": 1, "server_args.lpm_depth": 3}, "with page_size=1 and lpm_depth=3"),
        ({"server_args.enable_x": None}, "with default enable_x"),
        ({"env.SGLANG_X": "1", "page_size": 16}, "with SGLANG_X=1 and page_size=16"),
    ],
)
def test_settings_in_words(values: dict[str, object], words: str) -> None:
    """What is named is told as a reader of SGLang says it."""
    assert settings_words(values) == words


def test_settings_are_told_by_as_few_axes_as_tell_them_apart() -> None:
    """The model first: a reader needs no list of all that a cell of a large grid sets."""
    engines = [
        {"model": "dense", "policy": "fcfs", "page_size": 16},
        {"model": "hybrid_swa", "policy": "lpm", "page_size": 1},
        {"model": "dense", "policy": "lpm", "page_size": 1},
        {"model": "dense", "policy": "lpm", "page_size": 16},
    ]
    rows = pd.DataFrame(
        [
            {"cell": str(number), "metric": OUTCOME, "workload": "agents", **one}
            for number, one in enumerate(engines)
        ]
    )
    assert list(cell_groups([rows])["settings"]) == [
        "with policy=fcfs",
        "with model=hybrid_swa",
        "with model=dense and page_size=1",
        "with policy=lpm and page_size=16",
    ]


@pytest.mark.parametrize(("other", "verdict"), [(1.04, "better"), (1.2, "trade-off")])
def test_time_measured_with_one_setting_speaks_for_others_that_moved_alike(
    tmp_path: Path, other: float, verdict: str
) -> None:
    """More calls beside 30 % less CPU time are no loss, in the loop that was not timed either."""
    timed = [cell for cell in LOOPS if cell.engine.overlap]
    pairs = load_results(
        [write_pairs(tmp_path / "p", timed, pairs=12, slowdown=lambda cell: 0.7, noise=0.001)]
    )
    found = _compared(
        tmp_path / "x",
        LOOPS,
        lambda cell: dict.fromkeys(CALLS, 1.04 if cell.engine.overlap else other),
        pairs=pairs,
    )
    assert found.decision.verdict == verdict, found.decision.sentence
    assert "CPU time per step −30 % (with overlap)" in found.decision.sentence
