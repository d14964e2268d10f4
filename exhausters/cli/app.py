"""The command `exhausters`: measure, explain and judge.

`sweep` and `pair` measure, `why` and `trace` explain, `check`, `gate`, `build` and `history` judge; `compare`
does all of it for two builds.

`gate`, `build` and `history` are those of `python -m reports`; they load pandas only when they run. Exit
codes are listed in `exhausters.console`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from exhausters import __version__
from exhausters.cli.bisect import bisect
from exhausters.cli.cache import cache
from exhausters.cli.check import check
from exhausters.cli.compare import compare
from exhausters.cli.conformance import conformance
from exhausters.cli.doctor import doctor
from exhausters.cli.golden import app as golden
from exhausters.cli.growth import growth
from exhausters.cli.joined import joined
from exhausters.cli.mirror import mirror
from exhausters.cli.pair import pair
from exhausters.cli.reach_cover import reach_cover
from exhausters.cli.reach_map import reach_map
from exhausters.cli.replay import replay
from exhausters.cli.resummarize import resummarize
from exhausters.cli.scan import scan
from exhausters.cli.sweep import sweep
from exhausters.cli.trace import trace
from exhausters.cli.why import why
from reports.cli.app import COMMANDS as REPORT_COMMANDS


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(f"sglang-exhausters {__version__}")
        raise typer.Exit


app = typer.Typer(
    help="Run the real SGLang scheduler on a CPU under scripted pressure, and judge what changed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print the version.", callback=_print_version)
    ] = False,
) -> None:
    """Run the real SGLang scheduler on a CPU under scripted pressure, and judge what changed."""


app.command(rich_help_panel="Measure")(doctor)
app.command(rich_help_panel="Measure")(sweep)
app.command(rich_help_panel="Measure")(pair)
app.command(rich_help_panel="Measure")(joined)
app.command(rich_help_panel="Measure")(replay)
app.command(rich_help_panel="Measure")(bisect)
app.command(rich_help_panel="Measure")(scan)
app.command(rich_help_panel="Measure")(reach_map)
app.command(rich_help_panel="Measure")(mirror)
app.command(rich_help_panel="Measure")(resummarize)
app.command(rich_help_panel="Explain")(why)
app.command(rich_help_panel="Explain")(trace)
app.add_typer(golden, name="golden", rich_help_panel="Explain")
app.command(rich_help_panel="Explain")(growth)
app.command(rich_help_panel="Explain")(reach_cover)
app.command(rich_help_panel="Judge and report")(check)
app.command(rich_help_panel="Judge and report")(compare)
app.command(rich_help_panel="Judge and report")(conformance)
app.add_typer(cache, name="cache", rich_help_panel="Housekeeping")
for command in REPORT_COMMANDS:
    app.command(rich_help_panel="Judge and report")(command)
