"""Examine the machine, a target, its environment, and what a boot of it reports."""

from __future__ import annotations

import os
import platform
import sys

from rich.console import Console
from rich.table import Table

from exhausters import __version__
from exhausters.errors import ExhaustersError, MissingModuleError
from exhausters.targets import SUPPORTED_RELEASES, PreparedTarget, prepare
from exhausters.worker.host import Host

# Facts of a boot that say nothing about the target: the process, and the settings that `doctor` boots with.
_NOT_SHOWN = ("pid", "page_size", "max_total_tokens", "max_running_requests", "policy")


def examine(target: str, console: Console) -> bool:
    """Print the findings; return whether the target can be swept.

    Raises:
        TargetSpecError: the target cannot be parsed.
    """
    _print_machine(console)
    try:
        prepared = prepare(target, on_progress=lambda what: console.print(f"… {what}", highlight=False))
        _print_target(console, prepared)
        with Host(prepared) as host:
            _print_facts(console, host)
    except MissingModuleError as error:
        console.print(f"[red]missing[/] module {error.module}, distribution {error.distribution}")
        console.print(str(error), markup=False, highlight=False)
        return False
    except ExhaustersError as error:
        console.print(f"[red]{type(error).__name__}[/]")
        console.print(str(error), markup=False, highlight=False)
        return False
    console.print("[green]ready[/]: this target boots and can be swept")
    return True


def _print_machine(console: Console) -> None:
    table = Table(title="machine", title_justify="left", show_header=False)
    table.add_row("harness", __version__)
    table.add_row("Python", f"{platform.python_version()} ({sys.executable})")
    table.add_row("system", f"{platform.system()} {platform.machine()}")
    table.add_row("cores", str(len(os.sched_getaffinity(0))))
    table.add_row("supported releases", f"{SUPPORTED_RELEASES[0]} to {SUPPORTED_RELEASES[-1]}")
    console.print(table)


def _print_target(console: Console, prepared: PreparedTarget) -> None:
    table = Table(title="target", title_justify="left", show_header=False)
    table.add_row("target", prepared.name)
    table.add_row("version", prepared.version)
    if prepared.commit is not None:
        table.add_row("commit", prepared.commit + (" with uncommitted changes" if prepared.dirty else ""))
    table.add_row("sources", "\n".join(map(str, prepared.source_dirs)))
    table.add_row("interpreter", str(prepared.python))
    table.add_row("pins", f"{len(prepared.pins)} (environment {prepared.environment_key})")
    console.print(table)


def _print_facts(console: Console, host: Host) -> None:
    table = Table(title="booted", title_justify="left", show_header=False)
    for name, value in host.facts.items():
        if name not in _NOT_SHOWN:
            table.add_row(name, str(value))
    for note in host.ready.notes:
        table.add_row("note", note)
    console.print(table)
