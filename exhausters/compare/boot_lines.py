"""Which lines both builds execute while a scheduler boots: imports, constructors, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from exhausters.errors import ExhaustersError
from exhausters.scripted.context import ScriptedContext
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.workers import boot
from exhausters.targets import PreparedTarget

Lines = Mapping[str, frozenset[int]]


def boot_lines(targets: Sequence[PreparedTarget], engine: EngineSettings) -> tuple[Lines, ...]:
    """Boot each target once with its lines recorded; return them, by file below the source folder.

    A target that does not boot so gives no lines: then nothing of it counts as executed while booting.
    """
    with ThreadPoolExecutor(max_workers=len(targets)) as pool:
        return tuple(pool.map(lambda target: _boot_lines(target, engine), targets))


def _boot_lines(target: PreparedTarget, engine: EngineSettings) -> Lines:
    try:
        host = boot(target, engine, record_boot=True)
    except ExhaustersError:
        return {}
    with closing(host):
        lines: Mapping[str, Sequence[int]] = host.run(executed_in_boot, reset=False)
    return {file: frozenset(numbers) for file, numbers in lines.items()}


def executed_in_boot(context: ScriptedContext) -> Mapping[str, Sequence[int]]:
    """A script without a step: the lines that the worker executed until its scheduler was up."""
    return context.boot_lines
