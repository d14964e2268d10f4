"""`exhausters joined`: both engines of a disaggregated pair on one virtual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from exhausters.cli.options import DEFAULT_TARGET, TargetOption
from exhausters.console import FAILED, error_console, errors_shown, headed_table, output_console, print_line
from exhausters.errors import UsageError

if TYPE_CHECKING:
    from exhausters.sweep.joined_pair import JoinedResult

# Of each engine: metric, what it is called, digits after the point.
_ROWS = (
    ("steps_to_drain", "steps", 0),
    ("idle_steps", "steps without a forward", 0),
    ("prealloc_wait_steps", "steps before a transfer, all requests", 0),
    ("transfer_wait_steps", "steps in transfer, all requests", 0),
    ("output_tokens", "tokens emitted", 0),
    ("time_to_first_token_p50_seconds", "time to first token, p50 s", 3),
    ("time_to_first_token_p99_seconds", "time to first token, p99 s", 3),
    ("end_to_end_p99_seconds", "end to end, p99 s", 3),
)
_LEVEL_HELP = "Held pressure on this engine, e.g. leave_pages=32; repeatable."


def joined(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD", help="E.g. shared_prefix:requests=32.")],
    target: TargetOption = DEFAULT_TARGET,
    prefill: Annotated[list[str] | None, typer.Option(metavar="LEVEL", help=_LEVEL_HELP)] = None,
    decode: Annotated[list[str] | None, typer.Option(metavar="LEVEL", help=_LEVEL_HELP)] = None,
    tokens: Annotated[int, typer.Option(min=1, help="KV tokens of each engine.")] = 4_096,
    rows: Annotated[int, typer.Option(min=1, help="Request rows of each engine.")] = 32,
    reserved: Annotated[int, typer.Option(min=0, help="Tokens the decode engine keeps a request.")] = 64,
    overlap: Annotated[bool, typer.Option(help="The overlap loops, or the normal ones.")] = True,
) -> None:
    """Prefill a workload in one engine and decode it in the other, on one virtual clock."""
    from exhausters.sweep.joined_pair import DECODE_ROLE, PREFILL_ROLE, joined_cell, run_on_target
    from exhausters.targets import prepare
    from exhausters.workloads import parse_spec

    console = output_console()
    with errors_shown(error_console()):
        spec = parse_spec(workload).text
        cells = tuple(
            joined_cell(
                role,
                workload=spec,
                levels=_levels(given or ()),
                max_total_tokens=tokens,
                max_running_requests=rows,
                overlap=overlap,
                reserved_tokens=reserved,
            )
            for role, given in ((PREFILL_ROLE, prefill), (DECODE_ROLE, decode))
        )
        result = run_on_target(prepare(target), *cells)
    console.print(_table(result, heading=f"{spec} on {target}"))
    why = f": {result.reason}" if result.reason else ""
    print_line(console, f"{result.outcome}{why}; {result.transfer_model}")
    if result.outcome != "drained":
        raise typer.Exit(FAILED)


def _table(result: JoinedResult, *, heading: str) -> Table:
    table = headed_table(heading)
    for name in ("", "prefill", "decode"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for metric, words, digits in _ROWS:
        values = (side.metrics.get(metric) for side in (result.prefill, result.decode))
        table.add_row(words, *("–" if value is None else f"{value:,.{digits}f}" for value in values))
    return table


def _levels(given: list[str] | tuple[str, ...]) -> dict[str, int]:
    """Levels as the command line has them."""
    levels = {}
    for one in given:
        name, _, value = one.partition("=")
        if not value.isdigit():
            raise UsageError(f"{one!r}: expected LEVEL=NUMBER, e.g. leave_pages=32")
        levels[name] = int(value)
    return levels
