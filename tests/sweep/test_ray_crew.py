"""Which actor runs what next, on a stand-in for a Ray cluster: losses at the tail, and nodes of no use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from socket import gethostname

import pytest

from exhausters.errors import ClusterError, TargetError
from exhausters.sweep import ray_actors, workers
from exhausters.sweep.plan import Task, plan_sweep
from exhausters.sweep.ray_executor import RayExecutor
from exhausters.sweep.record import DRAINED
from exhausters.sweep.run_options import RunOptions
from exhausters.targets import PreparedTarget
from tests.fakes.fake_engine import FakeHost
from tests.fakes.fake_ray import Call, FakeRay
from tests.sweep.samples import a_grid, a_target


@pytest.fixture(name="ray")
def _ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    """A cluster without nodes; a node that is called bad cannot prepare a target."""

    def prepare(spec: object) -> PreparedTarget:
        if ray.here.startswith("bad"):
            raise TargetError(f"no such folder on {ray.here}")
        return a_target()

    ray = FakeRay()
    ray.install(monkeypatch)
    monkeypatch.setattr(workers, "Host", FakeHost)
    monkeypatch.setattr(ray_actors, "prepare", prepare)
    yield ray
    FakeHost.made.clear()


def tasks_of(*lengths: int) -> list[Task]:
    """Tasks of so many runs each, in this order."""
    cells = a_grid(leave_pages=["all", *(64 + index for index in range(max(lengths) - 1))])
    (longest,) = plan_sweep(a_target(), cells, workers=1, options=RunOptions(count_work=False))
    return [Task(runs=longest.runs[:length]) for length in lengths]


def outcomes_of(tasks: list[Task], *, places: int, said: list[str] | None = None) -> Counter[str]:
    """Run the tasks; how often there was which outcome."""
    with RayExecutor(places, say=[].append if said is None else said.append) as executor:
        return Counter(record.result.outcome for record in executor.run(tasks))


def ran_on(ray: FakeRay) -> list[str]:
    """The nodes on which cells were run, in the order of the runs."""
    return [node for node, name in ray.calls if name == "run"]


def runners(ray: FakeRay) -> list[str | None]:
    """Where each actor that runs cells was started, in their order."""
    return [actor.node for actor in ray.started if actor.kind == "BootedWorker"]


def at_run(ray: FakeRay, number: int, act: Callable[[Call], object]) -> None:
    """Have something happen just before a run, given the number of those before it."""
    seen: list[Call] = []

    def on_call(call: Call) -> None:
        if call.name == "run":
            seen.append(call)
            if len(seen) == number + 1:
                act(call)

    ray.on_call = on_call


@pytest.mark.parametrize("lingering", [0, 1, 2])
@pytest.mark.parametrize("other_node", [True, False])
def test_idle_actors_of_a_lost_node_cost_no_try(ray: FakeRay, lingering: int, other_node: bool) -> None:
    """A node lost at the tail, with one busy and three idle actors, is one loss for the run under way.

    What ran on it may answer a call or two after it is gone, as it does on a real Ray.
    """
    ray.cpus = {"n1": 4, "n2": 1} if other_node else {"n1": 4}
    places = sum(ray.cpus.values())

    def lose_node(call: Call) -> None:
        assert call.actor.node == "n1"
        del ray.cpus["n1"]
        ray.cpus.setdefault("n3", 1)
        ray.lingering, call.actor.is_dead = lingering, True

    at_run(ray, places, lose_node)  # all places have ended one run: the second one of the first task
    said: list[str] = []
    found = outcomes_of(tasks_of(3, *[1] * (places - 1)), places=places, said=said)
    assert found == {DRAINED: places + 2}
    assert len(said) == 1
    assert ran_on(ray)[-2:] == (["n2", "n2"] if other_node else ["n3", "n3"])
    assert runners(ray)[places:] == ([] if other_node else ["n3"])


def test_an_idle_actor_that_died_is_given_nothing(ray: FakeRay) -> None:
    """Actors that died without a word while they were idle are no tries of the run they would have had."""
    ray.cpus = {"n1": 1, "n2": 1, "n3": 1, "n4": 1}

    def end_all(call: Call) -> None:
        for actor in ray.actors:
            actor.is_dead = True

    at_run(ray, 4, end_all)
    said: list[str] = []
    assert outcomes_of(tasks_of(2, 1, 1, 1), places=4, said=said) == {DRAINED: 5}
    assert len(said) == 4


def test_an_actor_that_is_asked_is_not_believed_once_its_node_is_lost(ray: FakeRay) -> None:
    """Two nodes lost at once are two losses, though an idle actor of one says that it is still there."""
    ray.cpus = {"n1": 1, "n2": 2}

    def lose_both(call: Call) -> None:
        ray.cpus = {"n3": 3}
        ray.lingering = 1
        for busy in ray.under_way:
            busy.actor.is_dead = True

    at_run(ray, 4, lose_both)
    said: list[str] = []
    assert outcomes_of(tasks_of(1, 3, 3), places=3, said=said) == {DRAINED: 7}
    assert len(said) == 2


def test_an_actor_that_died_while_its_node_prepared_costs_no_try(ray: FakeRay) -> None:
    """Preparing can take minutes: who waited for it is asked whether it is there before it is given a run."""
    ray.cpus = {"n1": 2}

    def end_waiting(call: Call) -> None:
        if call.name == "prepare":
            for actor in ray.actors:
                actor.is_dead = actor.kind == "BootedWorker"

    ray.on_call = end_waiting
    ray.lost = {"run": 2}
    assert outcomes_of(tasks_of(1), places=1) == {DRAINED: 1}


def test_a_node_of_no_use_costs_no_place(ray: FakeRay) -> None:
    """All places that came up on a bad node are filled on good ones, whichever way Ray spreads them."""
    ray.cpus = {"bad": 9, "good": 3}
    said: list[str] = []
    assert outcomes_of(tasks_of(2, 2, 2), places=3, said=said) == {DRAINED: 6}
    assert said == [f"{gethostname()}, a node of the cluster, is left out: no such folder on bad"]
    assert ran_on(ray) == ["good"] * 6
    assert runners(ray).count("good") == 3


def test_each_node_of_no_use_is_found_once(ray: FakeRay) -> None:
    """One place finds its way past four bad nodes, and is started on none of them twice."""
    ray.cpus = {"bad1": 5, "bad2": 4, "bad3": 3, "bad4": 2, "good": 1}
    assert outcomes_of(tasks_of(2), places=1) == {DRAINED: 2}
    assert runners(ray) == ["bad1", "bad2", "bad3", "bad4", "good"]


def test_a_lost_actor_is_replaced_on_a_good_node(ray: FakeRay) -> None:
    """The replacement of a lost actor is not started on a node that was found to be of no use."""
    ray.cpus = {"bad": 1, "good": 1}
    ray.lost = {"run": 2}
    assert outcomes_of(tasks_of(2), places=1) == {DRAINED: 2}
    assert runners(ray) == ["bad", "good", "good", "good"]


def test_no_place_waits_for_nodes_of_no_use(ray: FakeRay) -> None:
    """Where every node is of no use the sweep ends with the reason, though actors wait for other nodes."""
    ray.cpus = {"bad1": 1, "bad2": 1}
    with pytest.raises(ClusterError, match="no such folder on bad"):
        outcomes_of(tasks_of(1, 1), places=2)


def test_the_last_good_node_being_lost_ends_the_sweep(ray: FakeRay) -> None:
    """With only nodes of no use left, what waits for a CPU elsewhere would wait for ever."""
    ray.cpus = {"bad": 1, "good": 2}
    at_run(ray, 0, lambda call: ray.cpus.pop("good"))
    with pytest.raises(ClusterError, match="its node is gone"):
        outcomes_of(tasks_of(2, 2), places=2)


def test_a_lost_node_with_all_that_starts_on_it_is_made_up_for(ray: FakeRay) -> None:
    """As many actors as there are places may be lost at once, before they came up, and again."""
    ray.cpus = {"n1": 4}
    ray.lost = {"where": 8}
    assert outcomes_of(tasks_of(1, 1, 1, 1), places=4) == {DRAINED: 4}


def test_nothing_is_started_for_which_nothing_waits(ray: FakeRay) -> None:
    """An actor lost with its node's last run is replaced by one that is idle, where there is one."""
    ray.cpus = {"n1": 1, "n2": 1}
    at_run(ray, 2, lambda call: setattr(call.actor, "is_dead", True))
    assert outcomes_of(tasks_of(2, 1), places=2) == {DRAINED: 3}
    assert len(runners(ray)) == 2


def test_one_task_that_waits_has_one_actor_started(ray: FakeRay) -> None:
    """While a replacement waits for a CPU no others are started beside it; who has ended its task goes on."""
    ray.cpus = {"n1": 2, "n2": 1}

    def lose_node(call: Call) -> None:
        assert call.actor.node == "n1"
        del ray.cpus["n1"]

    at_run(ray, 3, lose_node)
    assert outcomes_of(tasks_of(3, 4, 1), places=3) == {DRAINED: 8}
    assert ran_on(ray)[-5:] == ["n2"] * 5
    assert len(runners(ray)) == 4
