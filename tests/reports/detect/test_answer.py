"""The gate's answer, by a table of planted changes: each is called what a maintainer would call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from exhausters.sweep.cell import Cell
from reports import Config, Waiver, compare, load_results, load_side
from reports.explain.comparison import Comparison
from tests.reports.make import HEAD, METRICS, Change, cells, record, write_pairs, write_records, write_sweep

P50, P99 = "time_to_first_token_p50_seconds", "time_to_first_token_p99_seconds"
NUMBERS = {
    P50: 0.2,
    P99: 1.0,
    "output_tokens_per_second": 1000.0,
    "chunked_prefill_tokens_per_second": 5000.0,
    "goodput_share": 0.9,
    "retractions": 0,
    "recompute_tax": 0.0,
    "chunks": 40,
    "steps_to_drain": 100,
    "python_calls": 100_000,
    "python_calls_per_step": 1000.0,
    "c_calls": 50_000,
    "c_calls_per_step": 500.0,
    "host_synchronisations": 400,
    "host_synchronisations_per_step": 4.0,
    "shortened_requests": 0,
}
GRID = cells(page_sizes=(16,))
TIGHT = 16
Where = Callable[[Cell], bool]


def everywhere(cell: Cell) -> bool:
    return True


def tight(cell: Cell) -> bool:
    return cell.levels.leave_pages == TIGHT


def agents(cell: Cell) -> bool:
    return cell.workload == "agents"


def one_cell(cell: Cell) -> bool:
    return tight(cell) and agents(cell)


def _calls(name: str, factor: float, *, per_step: float | None = None) -> dict[str, float]:
    """More or fewer calls; `per_step` where that moved by another factor, since there are other steps."""
    return {name: factor, f"{name}_per_step": factor if per_step is None else per_step}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A planted change.

    Attributes:
        factors: what each metric is multiplied by; of metrics that are 0, what is added.
        where: the cells that change.
        second, second_where: another change in other cells.
        base_factors: the same for base.
        cpu: factor of paired CPU time, if pairs were run.
        base_outcome, head_outcome: how the run of one cell ends.
        same_log: the decisions are the same.
        verdict: the answer.
        says: what the sentence must contain.
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    where: Where = everywhere
    second: Mapping[str, float] = field(default_factory=dict)
    base_factors: Mapping[str, float] = field(default_factory=dict)
    second_where: Where = everywhere
    cpu: float | None = None
    base_outcome: str = "drained"
    head_outcome: str = "drained"
    same_log: bool = False
    verdict: str
    says: str = ""


CASES = {
    "nothing": Case(same_log=True, verdict="identical", says="equal in all 8 cells"),
    "another order of the same": Case(verdict="neutral", says="decisions differ in 8 of 8 cells"),
    "latency better": Case(factors={P99: 0.91}, verdict="better", says="p99 −9.0 % everywhere"),
    "latency worse": Case(factors={P99: 1.09}, verdict="worse", says="cost unchanged"),
    "latency better under tight pressure": Case(
        factors={P99: 0.7}, where=tight, verdict="better", says="p99 −30 % under tight pressure"
    ),
    "latency worse for agents": Case(
        factors={P99: 1.2}, where=agents, verdict="worse", says="+20 % (agents)"
    ),
    "throughput worse": Case(factors={"output_tokens_per_second": 0.98}, verdict="worse"),
    "throughput better": Case(factors={"output_tokens_per_second": 1.02}, verdict="better"),
    "fuller chunks of a cache that loses its prefixes": Case(
        factors={"chunked_prefill_tokens_per_second": 1.58, "chunks": 1.025}, verdict="neutral"
    ),
    "a chunk more, p50 better": Case(
        factors={P50: 0.96, "chunked_prefill_tokens_per_second": 0.9994, "chunks": 1.025}, verdict="better"
    ),
    "mechanisms alone": Case(factors={"chunks": 2.0, "steps_to_drain": 1.5}, verdict="neutral"),
    "p50 better, p99 worse": Case(
        factors={P50: 0.9, P99: 1.1}, verdict="trade-off", says="won time to first token p50 −10 %"
    ),
    "one workload for another": Case(
        factors={P99: 0.9},
        where=agents,
        second={P99: 1.1},
        second_where=lambda cell: not agents(cell),
        verdict="trade-off",
        says="lost time to first token p99 +10 % (shared_prefix)",
    ),
    "retractions from nothing": Case(factors={"retractions": 1}, where=one_cell, verdict="worse"),
    "recompute tax": Case(factors={"recompute_tax": 0.03}, verdict="worse"),
    "half a percent of recompute tax": Case(factors={"recompute_tax": 0.005}, verdict="neutral"),
    "calls +0.02 %": Case(factors=_calls("python_calls", 1.0002), same_log=True, verdict="neutral"),
    "calls +2 %": Case(
        factors=_calls("python_calls", 1.02),
        same_log=True,
        verdict="neutral",
        says="no outcome moved; cost unchanged (Python calls +2.0 %, below 3 %)",
    ),
    "calls +4 %": Case(factors=_calls("python_calls", 1.04), same_log=True, verdict="worse"),
    "calls -4 %": Case(factors=_calls("python_calls", 0.96), same_log=True, verdict="better"),
    "calls +4 % by more steps": Case(
        factors=_calls("python_calls", 1.04, per_step=1.0), verdict="neutral", says="not per step"
    ),
    "C calls +4 %, CPU time -30 %": Case(
        factors=_calls("c_calls", 1.04), same_log=True, cpu=0.7, verdict="better", says="CPU time per step −"
    ),
    "calls equal, CPU time +30 %": Case(same_log=True, cpu=1.3, verdict="worse", says="CPU time per step +"),
    "C calls +4 %, CPU time equal": Case(
        factors=_calls("c_calls", 1.04), same_log=True, cpu=1.0, verdict="neutral", says="CPU time per step"
    ),
    "requests cut short, the others faster": Case(
        factors={"shortened_requests": 3, P99: 0.7}, verdict="worse", says="shortened requests"
    ),
    "requests no longer cut short, the others slower": Case(
        base_factors={"shortened_requests": 3},
        factors={P99: 1.3},
        verdict="trade-off",
        says="shortened requests",
    ),
    "synchronisations +20 %, CPU time equal": Case(
        factors=_calls("host_synchronisations", 1.2), same_log=True, cpu=1.0, verdict="worse"
    ),
    "a stall": Case(head_outcome="stalled", verdict="worse", says="drained in base, stalled in head"),
    "a stall cured": Case(base_outcome="stalled", verdict="better", says="stalled in base, drained in head"),
    "a stall cured, a cell chunks more": Case(
        base_outcome="stalled", factors={"chunks": 1.5}, where=tight, verdict="better"
    ),
    "a stall cured, p99 better": Case(base_outcome="stalled", factors={P99: 0.91}, verdict="better"),
    "a stall for latency": Case(head_outcome="stalled", factors={P99: 0.9}, verdict="trade-off"),
    "requests lost": Case(head_outcome="aborted", verdict="worse"),
    "lost requests become a stall": Case(base_outcome="aborted", head_outcome="stalled", verdict="worse"),
    "a stall becomes lost requests": Case(base_outcome="stalled", head_outcome="aborted", verdict="better"),
    "a crash of one cell": Case(head_outcome="crashed", verdict="worse"),
    "a crash of one cell cured": Case(base_outcome="crashed", verdict="better"),
    "a crash of one cell on both sides": Case(
        base_outcome="crashed", head_outcome="crashed", verdict="broken", says="broken in 1 cell"
    ),
}


def _ends(outcome: str) -> Change:
    """The run of one cell ends so; nothing else changes."""

    def change(one: dict[str, Any]) -> dict[str, Any]:
        one = one | {"metrics": METRICS | NUMBERS}
        here = one["cell"] == GRID[0].id
        return one | {"outcome": outcome, "reason": ""} if here else one

    return change


def _planted(case: Case) -> Change:
    by_id = {cell.id: cell for cell in GRID}

    def change(one: dict[str, Any]) -> dict[str, Any]:
        one = _ends(case.head_outcome)(one) or one
        cell = by_id[one["cell"]]
        for factors, where in ((case.factors, case.where), (case.second, case.second_where)):
            if where(cell):
                numbers = one["metrics"]
                moved = {
                    name: numbers[name] * factor if numbers[name] else factor
                    for name, factor in factors.items()
                }
                one = one | {"metrics": numbers | moved}
        return one if case.same_log else one | {"decision_digest": "other"}

    return change


def _compared(tmp_path: Path, case: Case, **how: Any) -> Comparison:
    before = Case(factors=case.base_factors, head_outcome=case.base_outcome, same_log=True, verdict="")
    base = write_sweep(tmp_path / "a", change=_planted(before), grid=GRID)
    head = write_sweep(tmp_path / "b", HEAD, _planted(case), grid=GRID)
    if case.cpu is not None:
        factor = case.cpu
        folder = write_pairs(tmp_path / "p", GRID, pairs=12, slowdown=lambda cell: factor, seed=1)
        how["pairs"] = load_results([folder])
    return compare(load_side(str(base)), load_side(str(head)), **how)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_planted_change_is_called_what_it_is(tmp_path: Path, case: Case) -> None:
    """Improvements are better, losses worse, what does not matter neutral; the code follows."""
    answer = _compared(tmp_path, case).decision
    assert answer.verdict == case.verdict, answer.sentence
    code = {"worse": 1, "trade-off": 1, "broken": 2}.get(case.verdict, 0)
    assert answer.exit_code == code
    assert case.says in answer.sentence
    assert " or " not in answer.sentence
    assert bool(answer.reasons) == bool(code)


@pytest.mark.parametrize(
    ("claim", "name", "code"),
    [
        ("refactor", "nothing", 0),
        ("refactor", "calls +2 %", 0),
        ("refactor", "calls +4 %", 1),
        ("refactor", "another order of the same", 1),
        ("faster", "calls -4 %", 0),
        ("faster", "C calls +4 %, CPU time -30 %", 0),
        ("faster", "nothing", 1),
        ("faster", "latency better", 1),
        ("policy", "latency better", 0),
        ("policy", "latency worse", 1),
        ("policy", "p50 better, p99 worse", 1),
        ("any", "calls +2 %", 0),
    ],
)
def test_a_claim_is_held_to(tmp_path: Path, claim: str, name: str, code: int) -> None:
    """A refactor decides alike, faster costs less and decides alike, a policy makes no outcome worse."""
    answer = _compared(tmp_path, CASES[name], claim=claim).decision
    assert answer.exit_code == code, answer.sentence
    assert (answer.claim.holds is True) == (code == 0)
    if claim != "any":
        assert answer.sentence.startswith(f"claim {claim} {'holds' if code == 0 else 'does not hold'}")


def test_a_claim_that_nothing_was_measured_for_is_undecided(tmp_path: Path) -> None:
    """Without counts on either side nobody knows whether a refactor changed the work: exit code 2."""
    base = write_sweep(tmp_path / "a", grid=GRID)
    head = write_sweep(tmp_path / "b", HEAD, grid=GRID)
    answer = compare(load_side(str(base)), load_side(str(head)), claim="refactor").decision
    assert (answer.verdict, answer.exit_code) == ("undecided", 2)


@dataclass(frozen=True)
class _Reach:
    is_nothing_reached: bool
    changed: int = 16
    missing: int = 16

    def __str__(self) -> str:
        return "0 of 16 changed lines reached"


def test_equal_decisions_that_never_ran_the_change_are_unreached(tmp_path: Path) -> None:
    """Where no cell executed what changed, equal decisions are no pass: exit code 2."""
    found = _compared(tmp_path, CASES["nothing"], reach=_Reach(True)).decision
    assert (found.verdict, found.exit_code) == ("unreached", 2)
    assert "0 of 16 changed lines reached" in found.sentence
    reached = _compared(tmp_path / "x", CASES["nothing"], reach=_Reach(False, missing=0)).decision
    assert (reached.verdict, reached.exit_code) == ("identical", 0)
    assert reached.reach
    assert "executed" not in reached.sentence


def test_an_answer_of_equality_says_what_it_says_nothing_about(tmp_path: Path) -> None:
    """A change of which some lines ran is not unreached; what did not run is said beside "identical"."""
    for name in ("nothing", "calls +2 %"):
        found = _compared(tmp_path / name, CASES[name], reach=_Reach(False, missing=3)).decision
        assert "; 3 of 16 changed lines were not executed" in found.sentence


def test_a_cell_that_fails_on_both_sides_is_not_among_the_equal_ones(tmp_path: Path) -> None:
    """Both stall alike: that is no loss, and nothing there was compared to its end; it is named."""
    base = write_sweep(tmp_path / "a", change=_ends("stalled"), grid=GRID)
    head = write_sweep(tmp_path / "b", HEAD, _ends("stalled"), grid=GRID)
    found = compare(load_side(str(base)), load_side(str(head))).decision
    assert f"all {len(GRID) - 1} cells that drained (`" in found.sentence
    assert "stalled on both sides)" in found.sentence


def test_a_trade_off_can_be_accepted(tmp_path: Path) -> None:
    """With trade_off = "accept" it is still called one, and passes."""
    case = CASES["p50 better, p99 worse"]
    answer = _compared(tmp_path, case, config=Config(accepts_trade_offs=True)).decision
    assert (answer.verdict, answer.exit_code) == ("trade-off", 0)


def test_a_waiver_of_what_was_lost_leaves_what_was_won(tmp_path: Path) -> None:
    """A trade-off whose loss is waived is better."""
    from datetime import date

    waiver = Waiver(metric=P99, cells=("*",), reason="on purpose", expires=date(2026, 12, 31))
    answer = _compared(
        tmp_path,
        CASES["p50 better, p99 worse"],
        config=Config(waivers=(waiver,)),
        today=date(2026, 11, 22),
    ).decision
    assert answer.verdict == "better"


def test_smallest_effects_come_from_the_configuration(tmp_path: Path) -> None:
    """A configured smallest effect replaces the registry's, of a workload and of a cell."""
    config = Config(smallest_effect={P99: 0.2}, smallest_cell_effect={P99: 0.05})
    found = _compared(tmp_path, CASES["latency worse"], config=config)
    assert found.decision.verdict == "neutral"
    effect = next(one for one in found.effects if one.metric == P99)
    assert len(effect.worse_cells) == 4


def test_pairs_that_are_given_twice_count_once(tmp_path: Path) -> None:
    """A folder of pairs as both sides and as pairs gives the same number of pairs as once."""
    folder = write_pairs(tmp_path / "p", GRID, pairs=12)
    sides = [load_side(f"{folder}@{build}") for build in ("release:0.5.22", "release:0.5.23")]
    once = compare(*sides)
    twice = compare(*sides, pairs=load_results([tmp_path / "." / "p"]))
    assert set(once.verdicts["pairs"].dropna()) == set(twice.verdicts["pairs"].dropna()) == {12}


def test_pairs_that_lack_runs_are_an_obstacle(tmp_path: Path) -> None:
    """A folder of pairs with fewer records than its header promises is no pass, and it is said."""
    base, head = write_sweep(tmp_path / "a", grid=GRID), write_sweep(tmp_path / "b", HEAD, grid=GRID)
    lines = [record(GRID[0], target, round=0, order="AB") for target in ("release:0.5.22", "release:0.5.23")]
    targets = {"release:0.5.22": {"version": "0.5.22"}, "release:0.5.23": {"version": "0.5.23"}}
    write_records(tmp_path / "p", lines, target=None, targets=targets, cells=1, runs=20, complete=False)
    found = compare(load_side(str(base)), load_side(str(head)), pairs=load_results([tmp_path / "p"]))
    assert found.decision.exit_code == 2
    assert "pairs: 9 of 10 paired runs left no record" in found.decision.reasons


def test_the_same_failure_is_told_once(tmp_path: Path) -> None:
    """A boot failure of every cell is one reason with a count."""
    failed = {"outcome": "crashed", "reason": "cannot boot", "metrics": {}}
    base = write_sweep(tmp_path / "a", grid=GRID)
    head = write_sweep(tmp_path / "b", HEAD, lambda one: one | failed, grid=GRID)
    answer = compare(load_side(str(base)), load_side(str(head))).decision
    assert (answer.verdict, answer.exit_code) == ("broken", 2)
    assert len(answer.reasons) == 1
    assert "8 cells" in answer.sentence
    assert answer.sentence.count("cannot boot") == 1
