"""A Ray cluster of several nodes, all on this machine: one is lost at the tail, one is of no use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from exhausters.sweep.grid import parse_grid
from exhausters.sweep.plan import Task, plan_sweep
from exhausters.sweep.record import DRAINED, UNSUPPORTED, RunRecord
from exhausters.sweep.run_options import RunOptions
from tests.conftest import newest_release

pytestmark = [pytest.mark.ray, pytest.mark.real]

_NODE = {"object_store_memory": 80_000_000, "include_dashboard": False}
# As docs/cluster.md says; on a busy machine a node needs longer than Ray waits for it.
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_raylet_start_wait_time_s": "120",
}
# The second cell takes seconds: its worker is lost in the middle of it.
_LONG = ["shared_prefix:requests=8", "shared_prefix:requests=1000", "shared_prefix:requests=9"]


@pytest.fixture(name="cluster")
def _cluster() -> Iterator[Any]:
    """A node without a CPU, on which the command runs; workers are on nodes that are added."""
    utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed (`make test-ray`)")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _SETTINGS.items():
            patch.setenv(name, os.environ.get(name, value))
        cluster = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **_NODE})
        try:
            yield cluster
        finally:
            cluster.shutdown()


def tasks_of(**axes: Any) -> tuple[Task, ...]:
    grid = parse_grid({"name": "tail", "axes": axes}, source="tail")
    return plan_sweep(newest_release(), grid, workers=1, options=RunOptions(count_work=False))


def test_a_node_is_lost_at_the_tail(cluster: Any) -> None:
    """A node with one busy and two idle actors, lost, is one loss; what is left is run where it can be.

    The node that takes its place is left out, for its cache cannot be written; a third one runs the rest.
    """
    from exhausters.sweep.ray_executor import RayExecutor

    first = cluster.add_node(num_cpus=3, **_NODE)
    said: list[str] = []
    records: list[RunRecord] = []

    def say(text: str) -> None:
        said.append(text)
        if "left out" in text:
            cluster.add_node(num_cpus=1, **_NODE)

    def lose_first() -> None:
        assert len(records) == 3, "the long cell was over before the others"
        cluster.remove_node(first, allow_graceful=False)
        cluster.add_node(num_cpus=1, env_vars={"EXHAUSTERS_CACHE": "/dev/null/no"}, **_NODE)

    # Two tasks that end when SGLang is imported, so that their actors are idle.
    short = {"workload": ["bursts"], "env.SGLANG_READ_BY_NOBODY": ["1", "2"]}
    tasks = [*tasks_of(workload=_LONG, page_size=[16]), *tasks_of(**short)]
    with RayExecutor(3, address=cluster.address, say=say) as executor:
        for record in executor.run(tasks):
            records.append(record)
            outcomes = [one.result.outcome for one in records]
            if said == [] and outcomes.count(UNSUPPORTED) == 2 and DRAINED in outcomes:
                lose_first()
    assert sorted(one.result.outcome for one in records) == [DRAINED] * 3 + [UNSUPPORTED] * 2
    lost, left_out = said
    assert lost.startswith("lost a worker")
    assert left_out.endswith("or name another folder by EXHAUSTERS_CACHE")
