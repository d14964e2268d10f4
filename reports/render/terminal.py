"""A comparison on a terminal. Colours follow rich: none in a pipe, none when NO_COLOR is set."""

from __future__ import annotations

import math

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.detect.coverage import coverage_lines
from reports.explain.comparison import Comparison
from reports.explain.headlines import counts_by_verdict
from reports.render.escape import terminal_text
from reports.vocabulary import BETTER, BROKEN, CHANGED, SAME, UNDECIDED, VERDICTS, WORSE

STYLES = {
    WORSE: "bold red",
    BROKEN: "bold magenta",
    UNDECIDED: "yellow",
    BETTER: "green",
    CHANGED: "cyan",
    SAME: "dim",
}
_MAX_HEADLINES = 12
_MAX_REASONS = 6
_MAX_OTHERS = 3


def print_comparison(comparison: Comparison, console: Console, *, explain: bool = False) -> None:
    """Print verdict, headlines, counts, what was judged and refused; with `explain` also the rules."""
    decision = comparison.decision
    console.print(
        Text.assemble(
            (decision.verdict.upper(), STYLES[decision.verdict]),
            terminal_text(f"  {comparison.base} → {comparison.head}"),
        )
    )
    if comparison.headlines:
        console.print(_headlines(comparison))
    _print_tests(comparison.grid_tests, console, only_news=not explain)
    counts = counts_by_verdict(comparison.cells["verdict"], VERDICTS)
    counted = Text(f"{len(comparison.cells)} cells: ")
    counted.append(Text(", ").join(Text(f"{n} {word}", STYLES[word]) for word, n in counts.items() if n))
    console.print(counted)
    for line in coverage_lines(comparison.kinds):
        console.print(Text(terminal_text(line)))
    if explain:
        _print_rules(comparison, console)
    for line in decision.reasons[: None if explain else _MAX_REASONS]:
        console.print(Text(terminal_text(f"  {line}")))
    hidden = len(decision.reasons) - _MAX_REASONS
    if hidden > 0 and not explain:
        console.print(Text(f"  … and {hidden} more (--explain)", style="dim"))
    for line in [*map(str, comparison.refusals), *comparison.notes]:
        console.print(Text(terminal_text(f"  note: {line}"), style="dim"))


def _headlines(comparison: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("cells", justify="right", no_wrap=True)
    table.add_column("where: what")
    table.add_column("also changed", overflow="fold")
    for headline in comparison.headlines[:_MAX_HEADLINES]:
        others = [f"{one.metric} {one.change}".strip() for one in headline.others[:_MAX_OTHERS]]
        more = len(headline.others) - _MAX_OTHERS
        table.add_row(
            Text(headline.lead.verdict, STYLES[headline.lead.verdict]),
            str(len(headline.lead.cells)),
            Text(terminal_text(headline.text)),
            Text(", ".join(others) + (f" and {more} more" if more > 0 else ""), style="dim"),
        )
    hidden = len(comparison.headlines) - _MAX_HEADLINES
    if hidden > 0:
        table.add_row("", "", Text(f"… and {hidden} more", style="dim"), "")
    return table


def _print_tests(tests: pd.DataFrame, console: Console, *, only_news: bool) -> None:
    for row in tests.to_dict("records"):
        if only_news and row["axis"] and row["verdict"] not in (WORSE, BETTER):
            continue
        part = f"{row['axis']} = {row['axis_value']}" if row["axis"] else "whole grid"
        line = Text.assemble(
            "  ", (str(row["verdict"]), STYLES[str(row["verdict"])]), f" {row['metric']}, {part}: "
        )
        line.append(f"ratio {_number(row['ratio'])} [{_number(row['ci_low'])}, {_number(row['ci_high'])}], ")
        line.append(f"adjusted p {_number(row['p_adjusted'])}, {row['pairs']} pairs, {row['cells']} cells")
        if row["reason"]:
            line.append(f" ({row['reason']})")
        console.print(line)


def _print_rules(comparison: Comparison, console: Console) -> None:
    """One line for each verdict that is not `same`, with the rule that decided it."""
    verdicts = comparison.verdicts
    not_required = (verdicts["verdict"] == UNDECIDED) & ~verdicts["required"].astype(bool)
    for (rule, reason), part in verdicts[not_required].groupby(["rule", "reason"]):
        metrics, cells = part["metric"].nunique(), part["cell"].nunique()
        summary = f" {metrics} metrics in {cells} cells, shown only [rule: {rule}] {reason}"
        console.print(Text.assemble("  ", (UNDECIDED, STYLES[UNDECIDED]), terminal_text(summary)))
    rows = verdicts[(verdicts["verdict"] != SAME) & ~not_required]
    for row in rows.sort_values(["cell", "metric"], kind="stable").to_dict("records"):
        word = str(row["verdict"])
        line = Text.assemble("  ", (word, STYLES[word]), terminal_text(f" {row['cell']} {row['metric']}"))
        if not math.isnan(float(row["base"])) or not math.isnan(float(row["head"])):
            line.append(f" {_number(row['base'])} → {_number(row['head'])}")
        line.append(f" [rule: {row['rule']}]")
        if row["reason"]:
            line.append(terminal_text(f" {row['reason']}"))
        if row["waived"]:
            line.append(terminal_text(f" (waived: {row['waived']})"), style="yellow")
        console.print(line)


def _number(value: object) -> str:
    return "–" if not isinstance(value, int | float) or math.isnan(value) else f"{value:.6g}"
