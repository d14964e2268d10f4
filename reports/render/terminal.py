"""A comparison on a terminal. Colours follow rich: none in a pipe, none when NO_COLOR is set."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.detect.answer import reasons_beside_sentence
from reports.detect.cell_groups import PRESSURES
from reports.detect.coverage import coverage_lines
from reports.explain.comparison import Comparison
from reports.explain.summary import (
    COMPARE_FOLDER,
    base_to_head,
    cost_per_step,
    decisions,
    immaterial_cells,
    outcome_rows,
    outcome_words,
    outcomes_that_moved,
    pressure_values,
    reasons_why,
    short_name,
    why_command,
    with_short_names,
)
from reports.render.escape import terminal_text
from reports.vocabulary import (
    BETTER,
    BROKEN,
    CHANGED,
    IDENTICAL,
    NEUTRAL,
    SAME,
    TRADE_OFF,
    UNDECIDED,
    UNREACHED,
    WORSE,
)

STYLES = {
    WORSE: "bold red",
    TRADE_OFF: "bold yellow",
    BROKEN: "bold magenta",
    UNREACHED: "yellow",
    UNDECIDED: "yellow",
    BETTER: "green",
    NEUTRAL: "green",
    IDENTICAL: "green",
    CHANGED: "cyan",
    SAME: "dim",
}
_MAX_REASONS = 6


def print_comparison(
    comparison: Comparison, console: Console, *, explain: bool = False, folder: str = COMPARE_FOLDER
) -> None:
    """Print the answer, the outcomes that moved, the cost and why; with `explain` also the rules.

    `folder` is that of `compare`, where cells are found that no grid has.
    """
    answer = comparison.decision
    _line(
        console,
        Text.assemble((terminal_text(with_short_names(comparison, answer.sentence)), STYLES[answer.verdict])),
    )
    names = [
        short_name(target, commit)
        for target, commit in (
            (comparison.base, comparison.base_commit),
            (comparison.head, comparison.head_commit),
        )
    ]
    subject = f" {terminal_text(comparison.head_subject)}" if comparison.head_subject else ""
    cells = f"{len(comparison.cells)} cells: {decisions(comparison)}"
    _line(console, f"{names[0]} → {names[1]}{subject}, {cells}")
    if outcomes_that_moved(comparison.effects):
        console.print(_outcomes(comparison))
    for label, texts in (
        ("cost per step: ", cost_per_step(comparison)),
        ("", list(filter(None, [immaterial_cells(comparison)]))),
    ):
        if texts:
            _line(console, label + "; ".join(texts))
    for why in reasons_why(comparison.divergences):
        _line(console, f"first divergence in {', '.join(why.cells)}: {why.sentence}")
    if answer.reach:
        _line(console, f"reach: {answer.reach}")
    for line in coverage_lines(comparison.kinds):
        _line(console, line)
    if explain:
        _print_rules(comparison, console)
    reasons = answer.reasons if explain else reasons_beside_sentence(answer)
    for line in reasons[: None if explain else _MAX_REASONS]:
        _line(console, f"  {with_short_names(comparison, line)}")
    hidden = len(reasons) - _MAX_REASONS
    if hidden > 0 and not explain:
        _line(console, f"  … and {hidden} more (--explain)", style="dim")
    if command := why_command(comparison, folder):
        _line(console, f"why, function by function: {command}")
    for line in [*map(str, comparison.refusals), *comparison.notes]:
        _line(console, f"  note: {line}", style="dim")


def _line(console: Console, text: str | Text, *, style: str = "") -> None:
    """Print one line; in a pipe it is not wrapped, so that `grep` finds it whole."""
    line = text if isinstance(text, Text) else Text(terminal_text(text), style)
    console.print(line, soft_wrap=not console.is_terminal)


def _outcomes(comparison: Comparison) -> Table:
    """One row for each workload and each outcome that moved most, base → head by pressure."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("workload", no_wrap=True)
    table.add_column("outcome")
    for pressure in PRESSURES:
        table.add_column(f"{pressure} pressure", justify="right")
    table.add_column("all cells", justify="right")
    metrics = outcomes_that_moved(comparison.effects)
    for row in outcome_rows(comparison.effects, metrics):
        label = f"{row.workload} {row.settings}".strip()
        for effect in row.by_metric.values():
            assert effect.change is not None
            by_pressure = pressure_values(effect)
            moved = effect.change.text if effect.change.size else "="
            table.add_row(
                terminal_text(label),
                outcome_words(effect.metric, effect.unit),
                *(by_pressure.get(pressure, "") for pressure in PRESSURES),
                Text(moved, STYLES[effect.verdict] if effect.verdict in (WORSE, BETTER) else ""),
            )
            label = ""
    return table


def _print_rules(comparison: Comparison, console: Console) -> None:
    """One line for each workload and outcome or cost that is not the same, with the rule that decided."""
    for effect in comparison.effects:
        if effect.verdict == SAME:
            continue
        place = f"{effect.workload} {effect.settings}".strip()
        values = f" {base_to_head(effect.change)}" if effect.change else ""
        size = f" {effect.change.text}" if effect.change and "→" not in effect.change.text else ""
        single = [
            f"{len(found)} {word}"
            for found, word in ((effect.worse_cells, WORSE), (effect.better_cells, BETTER))
            if found
        ]
        line = Text.assemble(
            "  ",
            (effect.verdict, STYLES[effect.verdict]),
            terminal_text(f" {place} {effect.metric}{values}{size} [rule: {effect.rule}]"),
            f" single cells: {', '.join(single)}" if single else "",
            terminal_text(f" {'; '.join(effect.reasons)}" if effect.reasons else ""),
        )
        _line(console, line)
    verdicts = comparison.verdicts
    for (rule, reason), part in verdicts[verdicts["verdict"] == UNDECIDED].groupby(["rule", "reason"]):
        metrics, cells = part["metric"].nunique(), part["cell"].nunique()
        _line(console, f"  {UNDECIDED} {metrics} metrics in {cells} cells [rule: {rule}] {reason}")
    for reason, part in verdicts[verdicts["waived"] != ""].groupby("waived"):
        names = ", ".join(dict.fromkeys(map(str, part["metric"])))
        _line(console, f"  waived in {part['cell'].nunique()} cells: {names} ({reason!s})")
