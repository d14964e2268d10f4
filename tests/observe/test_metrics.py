"""The registry describes every metric that a run yields, once, and nothing else."""

from __future__ import annotations

from exhausters.observe.metrics import DECISION, HIGHER, HOST, KINDS, LOWER, METRICS, NONE, WORK
from exhausters.observe.smallest_effects import COSTS, MECHANISM, OUTCOMES, ROLES
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import CellResult
from exhausters.sweep.run_options import RunOptions
from exhausters.workloads import parse_workload
from tests.fakes.fake_engine import ScriptRunner


def test_every_metric_is_described_well() -> None:
    """Names are unique; kind and direction are known; there is a unit and a sentence."""
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.kind in KINDS, name
        assert metric.better in (LOWER, HIGHER, NONE), name
        assert metric.unit, name
        assert metric.meaning.endswith("."), name


def test_only_noisy_kinds_have_a_smallest_effect() -> None:
    """Exact kinds are equal or not; host time must pass a smallest effect; work has a tiny tolerance."""
    for name, metric in METRICS.items():
        if metric.kind == HOST:
            assert 0 < metric.smallest_effect < 1, name
        elif metric.kind == WORK:
            assert 0 <= metric.smallest_effect < 0.01, name
        else:
            assert metric.smallest_effect == 0, name


def test_only_outcomes_and_costs_can_be_better() -> None:
    """An outcome or a cost has a direction and a smallest effect with its reason; a mechanism has neither."""
    assert {*OUTCOMES, *COSTS} <= set(METRICS)
    for name, metric in METRICS.items():
        effect = metric.materiality
        assert metric.role in ROLES
        assert (metric.better == NONE) == (effect is None) == (metric.role == MECHANISM), name
        if effect is not None:
            assert 0 <= effect.workload <= effect.cell < 1, name
            assert effect.reason.endswith("."), name


def test_a_run_yields_only_registered_metrics_and_every_decision() -> None:
    """What a run yields is in the registry, and every metric of the kind decision is yielded by a run."""
    cell = Cell(workload="bursts")
    result: CellResult = ScriptRunner().run(
        run_cell, cell, parse_workload(cell.workload), RunOptions(count_work=False)
    )
    yielded = set(result.metrics)
    assert yielded <= set(METRICS)
    assert yielded >= {name for name, metric in METRICS.items() if metric.kind == DECISION}
