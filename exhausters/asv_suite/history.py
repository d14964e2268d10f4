"""A table of asv's results, release by release: `python -m exhausters.asv_suite.history`.

    python -m exhausters.asv_suite.history --times
    python -m exhausters.asv_suite.history --cell workload=agents,leave_pages=56 --metric evicted_tokens

Prints Markdown: a row a commit over the whole grid, or a table for each cell that is named. Commits are named
by their tag, where the repository of asv.conf.json has one, and stand in the order of their dates.
`decisions` has the same letter wherever a commit decides exactly alike in every cell; `as before` counts the
cells that decide as in the row above.
"""

from __future__ import annotations

import ast
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Annotated, Any

import typer

from exhausters.errors import ExhaustersError, UsageError
from exhausters.sweep.record import DRAINED, OUTCOMES
from exhausters.targets.git import run_git

__all__ = ["Commit", "Point", "history_tables", "overview_table", "read_history"]

DEFAULT_METRICS = (
    "steps_to_drain",
    "evicted_tokens",
    "recomputed_tokens",
    "retractions",
    "python_calls_per_step",
    "scheduler_cpu_ms_per_step",
)
_OUTCOME, _LOG = "outcome", "decision_log"
_TAGGED_REFS = "refs/tags/"
# How asv names, among durations, that of a `setup_cache`.
_SWEEP_DURATION = "<setup_cache "

Point = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What asv knows of one commit.

    Attributes:
        name: its tag, else the first digits of its id.
        date: of the commit, in milliseconds of the epoch.
        values: by metric, then by point of the axes; None for null, NaN for not applicable.
        sweep_seconds: wall time of the sweep; None where asv has none.
        reading_seconds: wall time in which asv read all values from it.
    """

    name: str
    date: int
    values: Mapping[str, Mapping[Point, float | None]]
    sweep_seconds: float | None = None
    reading_seconds: float | None = None

    @property
    def decisions(self) -> tuple[tuple[Point, float | None], ...]:
        """All digests; equal for commits that decide alike."""
        return tuple(sorted(self.values.get(_LOG, {}).items()))

    @property
    def is_measured(self) -> bool:
        """Whether it has a decision log for any cell."""
        return any(digest is not None for digest in self.values.get(_LOG, {}).values())

    @property
    def drained(self) -> str:
        """How many of its cells drained."""
        outcomes = self.values.get(_OUTCOME, {})
        return f"{sum(code == OUTCOMES.index(DRAINED) for code in outcomes.values())}/{len(outcomes)}"


def read_history(results: Path, tags: Mapping[str, str]) -> tuple[Commit, ...]:
    """Return all commits in a results folder of asv, oldest first.

    Args:
        results: `.asv/results`.
        tags: names by commit id.

    Raises:
        UsageError: there are no results.
    """
    try:
        benchmarks = json.loads((results / "benchmarks.json").read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{results}: no results of asv ({error}); run `asv run` first") from error
    commits = []
    for path in sorted(results.glob("*/*.json")):
        document = json.loads(path.read_text())
        if "results" in document:
            commits.append(_commit(document, benchmarks, tags))
    if not commits:
        raise UsageError(f"{results}: no commit was measured; run `asv run` first")
    return tuple(sorted(commits, key=lambda commit: (commit.date, commit.name)))


def history_tables(
    commits: Sequence[Commit], *, metrics: Sequence[str], cells: Sequence[Mapping[str, str]]
) -> str:
    """Return Markdown with a table for each point that one of `cells` names; all points when there are none.

    Raises:
        UsageError: a metric that asv did not track, or cells that name no point.
    """
    _require_known(commits, metrics)
    points = _chosen(commits, cells)
    letters = _letters(commits)
    tables = []
    for point in points:
        head = ["release", "decisions", "drained", *metrics]
        lines = [f"**{', '.join(f'{name}={value}' for name, value in point)}**", ""]
        lines += [_row(head), _row(["---", "---", "---", *["---:"] * len(metrics)])]
        for commit in commits:
            values = [_shown(commit.values.get(metric, {}).get(point)) for metric in metrics]
            lines.append(_row([commit.name, letters[commit.decisions], commit.drained, *values]))
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def overview_table(commits: Sequence[Commit], *, metrics: Sequence[str], times: bool = False) -> str:
    """Return Markdown with a row for each commit; metrics are means over the grid.

    A mean is taken over the cells that have a number in every commit that was measured, so that it is over
    the same cells in every row.

    Args:
        commits: oldest first.
        metrics: names of the columns.
        times: add wall seconds of the sweep and of reading it.

    Raises:
        UsageError: a metric that asv did not track.
    """
    _require_known(commits, metrics)
    shared = {metric: _shared_points(commits, metric) for metric in metrics}
    letters = _letters(commits)
    seconds = ["sweep s", "reading s"] if times else []
    lines = [
        _row(["release", "decisions", "as before", "drained", *metrics, *seconds]),
        _row(["---", "---", "---:", "---:", *["---:"] * (len(metrics) + len(seconds))]),
    ]
    for before, commit in zip([None, *commits], commits, strict=False):
        means = [_mean(commit, metric, shared[metric]) for metric in metrics]
        row = [commit.name, letters[commit.decisions], _as_before(before, commit), commit.drained, *means]
        if times:
            row += [_seconds(commit.sweep_seconds), _seconds(commit.reading_seconds)]
        lines.append(_row(row))
    return "\n".join(lines)


def _require_known(commits: Sequence[Commit], metrics: Sequence[str]) -> None:
    known = set().union(*(commit.values for commit in commits))
    unknown = [metric for metric in metrics if metric not in known]
    if unknown:
        raise UsageError(
            f"--metric {unknown[0]}: asv has none of that name; it has {', '.join(sorted(known))}"
        )


def _shared_points(commits: Sequence[Commit], metric: str) -> list[Point]:
    rows = [commit.values.get(metric, {}) for commit in commits if commit.is_measured]
    return [point for point in (rows[0] if rows else ()) if all(_is_number(row.get(point)) for row in rows)]


def _is_number(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _mean(commit: Commit, metric: str, points: Sequence[Point]) -> str:
    if not commit.is_measured:
        return "failed"
    found = [value for point in points if (value := commit.values[metric][point]) is not None]
    return _shown(sum(found) / len(found)) if found else "–"


def _as_before(before: Commit | None, commit: Commit) -> str:
    if before is None or not (before.is_measured and commit.is_measured):
        return "–"
    ours, theirs = commit.values[_LOG], before.values[_LOG]
    same = sum(digest is not None and digest == theirs.get(point) for point, digest in ours.items())
    return f"{same}/{len(ours)}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _commit(document: Mapping[str, Any], benchmarks: Mapping[str, Any], tags: Mapping[str, str]) -> Commit:
    values: dict[str, dict[Point, float | None]] = {}
    for name, row in document["results"].items():
        columns = dict(zip(document["result_columns"], row, strict=False))
        about = benchmarks.get(name)
        # Of another version: another grid, another workload, another meaning.
        if about is None or columns.get("version") not in (None, about["version"]):
            continue
        metric = name.rpartition(".track_")[2]
        values[metric] = dict(_points(about["param_names"], columns))
    commit = document["commit_hash"]
    sweeps = [
        seconds for name, seconds in document.get("durations", {}).items() if name.startswith(_SWEEP_DURATION)
    ]
    readings = [
        columns["duration"]
        for row in document["results"].values()
        if (columns := dict(zip(document["result_columns"], row, strict=False))).get("duration") is not None
    ]
    return Commit(
        name=tags.get(commit, commit[:8]),
        date=int(document["date"]),
        values=values,
        sweep_seconds=sum(sweeps) if sweeps else None,
        reading_seconds=sum(readings) if readings else None,
    )


def _points(names: Sequence[str], columns: Mapping[str, Any]) -> Iterator[tuple[Point, float | None]]:
    found = columns.get("result") or []
    places = itertools.product(*columns["params"])
    # asv drops nulls at the end of a row.
    for place, value in itertools.zip_longest(places, found):
        yield tuple((name, _plain(text)) for name, text in zip(names, place, strict=True)), value


def _plain(text: str) -> str:
    """A parameter without the quotes of its `repr()`."""
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text


def _chosen(commits: Sequence[Commit], cells: Sequence[Mapping[str, str]]) -> list[Point]:
    every = dict.fromkeys(
        point for commit in commits for values in commit.values.values() for point in values
    )
    wanted = [cell.items() for cell in cells] or [{}.items()]
    found = [point for point in every if any(one <= dict(point).items() for one in wanted)]
    if not found:
        raise UsageError(
            f"--cell: no point has {cells}; the points are {[dict(point) for point in every][:3]} …"
        )
    return found


def _letters(commits: Sequence[Commit]) -> dict[tuple[tuple[Point, float | None], ...], str]:
    letters: dict[tuple[tuple[Point, float | None], ...], str] = {}
    names = (letter * times for times in itertools.count(1) for letter in ascii_uppercase)
    for commit in commits:
        if commit.decisions not in letters:
            letters[commit.decisions] = next(names) if commit.is_measured else "–"
    return letters


def _shown(value: float | None) -> str:
    if value is None:
        return "failed"
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _row(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"


def _tags(repository: Path) -> dict[str, str]:
    try:
        told = run_git([f"--git-dir={repository}", "show-ref", "--tags", "--dereference"])
    except ExhaustersError:
        return {}
    pairs = (line.split(" ", 1) for line in told.splitlines())
    return {commit: ref.removeprefix(_TAGGED_REFS).removesuffix("^{}") for commit, ref in pairs}


def _parse_cell(text: str) -> dict[str, str]:
    pairs = [item.partition("=") for item in text.split(",")]
    if not all(separator for _, separator, _ in pairs):
        raise UsageError(f"--cell {text!r}: expected NAME=VALUE,NAME=VALUE with the names of the axes")
    return {name: value for name, _, value in pairs}


def main(
    results: Annotated[Path, typer.Option(help="Results folder of asv.")] = Path(".asv/results"),
    repository: Annotated[Path, typer.Option("--repo", help="Where tags are looked up.")] = Path(
        ".cache/sglang.git"
    ),
    metric: Annotated[list[str] | None, typer.Option(help="A column; repeatable.")] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(help="Points to show, e.g. workload=agents,leave_pages=56; repeatable."),
    ] = None,
    times: Annotated[bool, typer.Option("--times", help="Seconds of each commit, over the grid.")] = False,
) -> None:
    """Print asv's results release by release, as Markdown."""
    try:
        commits = read_history(results, _tags(repository))
        columns = metric or DEFAULT_METRICS
        if cell:
            print(history_tables(commits, metrics=columns, cells=[_parse_cell(text) for text in cell]))
        else:
            print(overview_table(commits, metrics=columns, times=times))
    except ExhaustersError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(main)
