"""What `exhausters why` prints: the first divergence, two tables, and how the reproducer was found."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from exhausters.console import headed_table
from exhausters.observe.call_tree import Function
from exhausters.why.differential import (
    CallDifference,
    DifferentialProfile,
    LineDifference,
    explaining,
)
from exhausters.why.explain import Explanation, Reproducer

_NONE = "–"


def explanation_view(explained: Explanation) -> Group:
    """Return all of an explanation for a console."""
    parts: list[RenderableType] = [
        Text(f"{explained.cell.id}: {explained.base} → {explained.head}", style="bold"),
        Text(_first_divergence(explained)),
    ]
    if explained.profile is not None:
        parts += ["", *_profile(explained.profile)]
    if explained.reproducer is not None:
        parts += ["", *(Text(line) for line in reproducer_lines(explained.reproducer))]
    parts += [Text(f"note: {note}") for note in explained.notes]
    if explained.files:
        parts.append(Text(f"written: {', '.join(map(str, explained.files))}"))
    return Group(*parts)


def _first_divergence(explained: Explanation) -> str:
    if explained.sentence is None:
        return "All decisions are equal."
    return f"First divergence: {explained.sentence}."


def reproducer_lines(reproducer: Reproducer) -> Iterator[str]:
    """Yield what the reproducer is and how it was found, a sentence per line."""
    reduction = reproducer.reduction
    scenario = reduction.trial.scenario
    count = len(scenario.requests) + len(scenario.warmup)
    works = "passes on base and fails on head" if reproducer.is_proven else "does not tell the builds apart"
    yield f"Reproducer: {count} request{'' if count == 1 else 's'}; {works}: {reproducer.sentence}."
    minimal = (
        "without any one of its requests the difference goes away"
        if reduction.is_minimal
        else "it may not be the smallest"
    )
    yield f"Found in {reduction.runs} runs of both builds; {minimal}. Tried: {'; '.join(reduction.tried)}."


def _profile(profile: DifferentialProfile) -> Iterator[RenderableType]:
    calls, share = explaining(profile.calls)
    heading = _heading("Calls", profile.base_calls, profile.head_calls, len(calls), len(profile.calls), share)
    if calls:
        yield _call_table(calls, heading)
    else:
        yield Text(heading, style="bold cyan")
    lines, share = explaining(profile.lines)
    heading = _heading("Lines", profile.base_lines, profile.head_lines, len(lines), len(profile.lines), share)
    if lines:
        yield _line_table(lines, heading)
    else:
        yield Text(heading, style="bold cyan")


def _heading(what: str, base: float, head: float, shown: int, every: int, share: float) -> str:
    total = f"{what} per step {base:,.1f} → {head:,.1f} ({head - base:+,.1f})"
    if not every:
        return f"{total}: no function differs"
    return f"{total}; {shown} of {every} differences between functions are {share:.0%} of all"


def _call_table(rows: Sequence[CallDifference], heading: str) -> Table:
    table = headed_table(heading)
    table.add_column("own calls", justify="right", no_wrap=True)
    table.add_column("phase", no_wrap=True)
    table.add_column("function", overflow="fold")
    table.add_column("place, base → head", overflow="fold")
    table.add_column("called\nper step", justify="right", no_wrap=True)
    table.add_column("own calls\nper step", justify="right", no_wrap=True)
    table.add_column("with all\nbelow", justify="right", no_wrap=True)
    folder = _common_folder(rows)
    for one in rows:
        table.add_row(
            f"{one.difference:+,.1f}",
            one.phase,
            _name(one),
            _place(one, folder),
            _both(one.base.calls, one.head.calls),
            _both(one.base.own, one.head.own),
            f"{one.head.inclusive - one.base.inclusive:+,.1f}",
        )
    return table


def _line_table(rows: Sequence[LineDifference], heading: str) -> Table:
    table = headed_table(heading)
    table.add_column("lines", justify="right", no_wrap=True)
    table.add_column("function", overflow="fold")
    table.add_column("place, base → head", overflow="fold")
    table.add_column("executed\nper step", justify="right", no_wrap=True)
    table.add_column("most often\nline", justify="right", no_wrap=True)
    folder = _common_folder(rows)
    for one in rows:
        table.add_row(
            f"{one.difference:+,.1f}",
            _name(one),
            _place(one, folder),
            _both(one.base, one.head),
            str(one.hottest_line),
        )
    return table


def _both(base: float, head: float) -> str:
    return f"{base:,.1f} → {head:,.1f}"


def _name(one: CallDifference | LineDifference) -> Text:
    function = one.head_function or one.base_function
    return Text(function.name if function else _NONE)


def _place(one: CallDifference | LineDifference, folder: str) -> Text:
    """The file, which is the same on both sides by how functions are matched, and the line on each."""
    function = one.head_function or one.base_function
    if function is None or not function.file:
        return Text(_NONE)
    lines = [str(side.line) if side else _NONE for side in (one.base_function, one.head_function)]
    return Text(f"{function.file.removeprefix(folder)}:{' → '.join(lines)}")


def _common_folder(rows: Sequence[CallDifference | LineDifference]) -> str:
    """The folder that all files of a table are in, with a slash at its end; left out in it."""
    files = [function.file for function in map(_function, rows) if function is not None and function.file]
    folder = os.path.commonpath([os.path.dirname(file) for file in files]) if files else ""
    return f"{folder}/" if folder else ""


def _function(one: CallDifference | LineDifference) -> Function | None:
    return one.head_function or one.base_function
