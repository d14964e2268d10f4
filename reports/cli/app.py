"""The command line: `python -m reports gate BASE HEAD`, `build RESULTS… --out DIR`, `history RESULTS…`.

Exit codes of `gate`: 0 nothing worse, 1 something worse, 2 could not decide or broken. The others render what
there is: 0 when they did, 2 when they could not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from exhausters.errors import ExhaustersError
from reports.dashboard.report_folder import write_report
from reports.detect.config import Config, load_config
from reports.detect.verdict import NOT_DECIDED
from reports.explain.comparison import Comparison, compare
from reports.load.builds import load_side
from reports.load.load_results import load_results
from reports.render.history_table import history_table, parse_where, tags_of
from reports.render.json_report import report_document, to_json
from reports.render.junit import render_junit
from reports.render.markdown import render_markdown
from reports.render.terminal import print_comparison

# Read when it is there and no other is named.
DEFAULT_CONFIG = Path("gate.toml")
_PIPE_WIDTH = 140

app = typer.Typer(
    help="Judge the results of two builds, or report on all of them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Thresholds and waivers [default: gate.toml if there is one].")
]


@contextmanager
def _errors_shown() -> Iterator[None]:
    try:
        yield
    except (ExhaustersError, OSError) as error:
        console = Console(stderr=True)
        console.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        console.print(str(error), markup=False, highlight=False)
        raise typer.Exit(NOT_DECIDED) from None


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, _PIPE_WIDTH))


def _config(path: Path | None) -> Config:
    if path is not None:
        return load_config(path)
    return load_config(DEFAULT_CONFIG) if DEFAULT_CONFIG.exists() else Config()


@app.command()
def gate(
    base: Annotated[str, typer.Argument(help="Results of the build to compare with: PATH or PATH@BUILD.")],
    head: Annotated[str, typer.Argument(help="Results of the build to judge: PATH or PATH@BUILD.")],
    pairs: Annotated[
        list[Path] | None, typer.Option(help="Paired host-time results that hold both builds; repeatable.")
    ] = None,
    config: ConfigOption = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a pull-request comment.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say which rule decided each verdict.")] = False,
) -> None:
    """Compare two builds; exit 0: nothing worse, 1: something worse, 2: could not decide or broken."""
    with _errors_shown():
        found = compare(
            load_side(base),
            load_side(head),
            pairs=load_results(pairs) if pairs else None,
            config=_config(config),
        )
        _write(found, markdown=markdown, json=json, junit=junit)
    print_comparison(found, _console(), explain=explain)
    raise typer.Exit(found.decision.exit_code)


def _write(found: Comparison, *, markdown: Path | None, json: Path | None, junit: Path | None) -> None:
    if markdown is not None:
        _write_text(markdown, render_markdown(found))
    if json is not None:
        _write_text(json, to_json(report_document(comparison=found)))
    if junit is not None:
        _write_text(junit, render_junit(found))


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@app.command()
def build(
    results: Annotated[
        list[Path], typer.Argument(help="Files and folders of results; folders are searched.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("results/report"),
    config: ConfigOption = None,
    base: Annotated[
        str | None, typer.Option(help="Build to compare with: target, version or commit [the one before].")
    ] = None,
    head: Annotated[str | None, typer.Option(help="Build to judge [the newest].")] = None,
) -> None:
    """Write a report on all builds, the newest against the one before, and a dashboard (index.html)."""
    with _errors_shown():
        written = write_report(load_results(results), out, _config(config), base=base, head=head)
    console = _console()
    for path in written:
        console.print(str(path), markup=False, highlight=False)


@app.command()
def history(
    results: Annotated[list[Path], typer.Argument(help="Results of several builds, e.g. .asv/results.")],
    metric: Annotated[list[str] | None, typer.Option(help="A column; repeatable.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only these cells, e.g. workload=agents,leave_pages=56; a table for each."),
    ] = None,
    repository: Annotated[Path, typer.Option("--repo", help="Where commits have tags.")] = Path(
        ".cache/sglang.git"
    ),
) -> None:
    """Print a table with a row for each build: which decide alike, and the mean of each metric."""
    with _errors_shown():
        loaded, names = load_results(results), tags_of(repository)
        for text in where or [""]:
            table = history_table(loaded, metrics=metric, where=parse_where(text), names=names)
            # Markdown, to be pasted: not for rich to wrap.
            print(f"**{text}**\n\n{table}\n" if text else table)
    for reason, count in Counter(one.reason for one in loaded.skipped).items():
        typer.echo(f"left out: {count} results: {reason}", err=True)
