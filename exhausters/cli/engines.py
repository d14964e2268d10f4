"""Where the runs of a command are executed: on this machine, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from exhausters.errors import UsageError

if TYPE_CHECKING:
    from exhausters.sweep.execute import Executor, KnownResults


class Engine(StrEnum):
    """What executes runs."""

    LOCAL = "local"
    RAY = "ray"


EngineOption = Annotated[
    Engine, typer.Option("--engine", help="local: this machine; ray: a Ray cluster (docs/cluster.md).")
]
RayAddressOption = Annotated[
    str | None,
    typer.Option("--ray-address", help="With ray: the cluster, such as auto. Without, one is started here."),
]


@contextmanager
def executor_of(
    engine: Engine,
    workers: int | None,
    *,
    cache: KnownResults | None = None,
    address: str | None = None,
    say: Callable[[str], None] = lambda said: None,
) -> Iterator[Executor]:
    """Give the executor that a command was asked for; it is closed at the end.

    Args:
        engine: which one; Ray is imported only for its own.
        workers: schedulers side by side; None for one per core.
        cache: results that need not be run again.
        address: of a Ray cluster; None starts one on this machine.
        say: is told of what happens to a cluster.

    Raises:
        ClusterError: Ray is not there.
        MissingExtraError: Ray is not installed.
        UsageError: an address without Ray.
    """
    if engine is Engine.RAY:
        from exhausters.sweep.ray_executor import RayExecutor

        with RayExecutor(workers, address=address, cache=cache, say=say) as executor:
            yield executor
        return
    if address is not None:
        raise UsageError(f"--ray-address {address}: this is for --engine ray")
    from exhausters.sweep.execute import LocalExecutor

    yield LocalExecutor(workers, cache=cache)
