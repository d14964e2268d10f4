"""A comparison as a comment on a pull request: one screen, details folded, never over GitHub's limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.detect.answer import reasons_beside_sentence
from reports.detect.cell_groups import PRESSURES
from reports.detect.coverage import coverage_lines
from reports.detect.effect import Effect
from reports.detect.thresholds import GITHUB_COMMENT_LIMIT
from reports.explain.comparison import Comparison
from reports.explain.summary import (
    base_to_head,
    cost_per_step,
    decisions,
    immaterial_cells,
    outcome_rows,
    outcome_words,
    outcomes_that_moved,
    pressure_values,
    reasons_why,
    reproduce_command,
    short_name,
    why_command,
    with_short_names,
)
from reports.render.escape import code, markdown_prose
from reports.vocabulary import (
    BETTER,
    BROKEN,
    IDENTICAL,
    NEUTRAL,
    SAME,
    TRADE_OFF,
    UNDECIDED,
    UNREACHED,
    WORSE,
)

_SIGNS = {
    WORSE: "🔴",
    TRADE_OFF: "🟠",
    BROKEN: "💥",
    UNREACHED: "🟡",
    UNDECIDED: "🟡",
    BETTER: "🟢",
    NEUTRAL: "⚪",
    IDENTICAL: "⚪",
}
_MAX_WORKLOADS = 12
_MAX_WHYS = 3
_MAX_REASONS = 5
_MAX_ROWS = 100
# One name or sentence; longer ones are cut so that a single text cannot fill the comment.
_MAX_TEXT = 300
_MAX_SUBJECT = 80
# Names of cells are long, and half a command is none.
_MAX_COMMAND = 2_000
_CUT = "\n\n_Truncated: a comment cannot be longer. The JSON report has everything._\n"


def render_markdown(comparison: Comparison, *, options: Sequence[str] | None = None) -> str:
    """Return the comment.

    Args:
        comparison: what it is about.
        options: with which `exhausters compare` made it; None where it did not.
    """
    answer = comparison.decision
    base, head = (
        code(_shortened(short_name(target, commit)))
        for target, commit in (
            (comparison.base, comparison.base_commit),
            (comparison.head, comparison.head_commit),
        )
    )
    subject = f" {code(_shortened(comparison.head_subject, _MAX_SUBJECT))}" if comparison.head_subject else ""
    title = f"## {_SIGNS[answer.verdict]} {answer.verdict}: {base} → {head}{subject}"
    parts = [
        title,
        # The heading has the verdict; a claim comes before it, and stays.
        _told(comparison, answer.sentence.removeprefix(f"{answer.verdict}: "), 2 * _MAX_TEXT),
        *_first_screen(comparison, options),
    ]
    whole = "\n\n".join(part for part in parts if part) + "\n"
    # Each folded section is added as a whole or not at all, so that no tag stays open.
    for part in _folded(comparison):
        if len(whole) + len(part) + len(_CUT) + 2 > GITHUB_COMMENT_LIMIT:
            return whole + _CUT
        whole += f"\n{part}\n"
    return whole


def _first_screen(comparison: Comparison, options: Sequence[str] | None) -> Iterator[str]:
    answer = comparison.decision
    yield _outcomes(comparison)
    costs = "; ".join(cost_per_step(comparison))
    lines = [f"* {len(comparison.cells)} cells: {decisions(comparison)}"] if len(comparison.cells) else []
    lines += [f"* Cost per step: {_prose(costs, 2 * _MAX_TEXT)}"] if costs else []
    for why in reasons_why(comparison.divergences)[:_MAX_WHYS]:
        more = f" and {len(why.cells) - 1} more" if len(why.cells) > 1 else ""
        lines.append(f"* First divergence in {_code(why.cells[0])}{more}: {_prose(why.sentence)}")
    quiet = immaterial_cells(comparison)
    lines += [
        f"* {_prose(_capital(text), 2 * _MAX_TEXT)}"
        for text in (quiet, f"reach: {answer.reach}" if answer.reach else "")
        if text
    ]
    if answer.exit_code:
        beside = reasons_beside_sentence(answer)
        lines += [f"* {_told(comparison, reason)}" for reason in beside[:_MAX_REASONS]]
        if len(beside) > _MAX_REASONS:
            lines.append(f"* … and {len(beside) - _MAX_REASONS} more below")
    lines += [f"* {_prose(_capital(line))}" for line in coverage_lines(comparison.kinds)]
    commands = (
        ("Reproduce", reproduce_command(comparison, options)),
        ("Why, function by function", why_command(comparison)),
    )
    lines += [f"* {label}: {code(command)}" for label, command in commands if command]
    yield "\n".join(lines)


def _outcomes(comparison: Comparison) -> str:
    """A line for each workload: base → head without, with some and under tight pressure."""
    metrics = outcomes_that_moved(comparison.effects)
    if not metrics:
        return ""
    here = [
        pressure for pressure in PRESSURES if any(pressure in one.by_pressure for one in comparison.effects)
    ]
    units = {one.metric: one.unit for one in comparison.effects}
    heads = [outcome_words(name, units[name]) for name in metrics]
    found = outcome_rows(comparison.effects, metrics)
    rows = [
        (
            f"{_code(row.workload)} {_prose(row.settings)}".strip(),
            *(_moved(row.by_metric.get(metric), here) for metric in metrics),
        )
        for row in found[:_MAX_WORKLOADS]
    ]
    hidden = len(found) - _MAX_WORKLOADS
    more = f"\n\n… and {hidden} more workloads." if hidden > 0 else ""
    first = f"{' · '.join(here)} pressure" if here else "workload"
    return _table((first, *heads), rows) + more


def _moved(effect: Effect | None, pressures: Sequence[str]) -> str:
    if effect is None or effect.change is None:
        return ""
    values = pressure_values(effect)
    moved = f" (**{effect.change.text}**)" if effect.verdict in (WORSE, BETTER) else ""
    return " · ".join(values.get(pressure, "–") for pressure in pressures) + moved


def _folded(comparison: Comparison) -> Iterator[str]:
    reasons = comparison.decision.reasons
    if len(reasons) > _MAX_REASONS:
        lines = [f"* {_told(comparison, reason)}" for reason in reasons[:_MAX_ROWS]]
        yield _fold(f"What keeps it from passing ({len(reasons)})", "\n".join(lines))
    moved = [one for one in comparison.effects if one.verdict != SAME]
    if moved:
        yield _fold(f"What differs, with the rule that judged it ({len(moved)})", _effects(comparison))
    if len(comparison.grid_tests):
        yield _fold("Host time over the grid", _tests(comparison))
    notes = [*(str(one) for one in comparison.refusals if not one.is_total), *comparison.notes]
    if notes:
        yield _fold("Notes", "\n".join(f"* {_prose(note)}" for note in notes))


def _fold(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _effects(comparison: Comparison) -> str:
    moved = [one for one in comparison.effects if one.verdict != SAME][:_MAX_ROWS]
    rows = [
        (
            one.verdict,
            f"{_code(one.workload)} {_prose(one.settings)}".strip(),
            _code(one.metric),
            "" if one.change is None else _prose(base_to_head(one.change)),
            "" if one.change is None else _prose(one.change.text),
            _prose("; ".join((one.rule, *one.reasons))),
        )
        for one in moved
    ]
    return _table(("answer", "workload", "metric", "base → head", "change", "rule"), rows)


def _tests(comparison: Comparison) -> str:
    rows = [
        (
            str(row["verdict"]),
            _code(row["metric"]),
            _prose(f"{row['axis']} = {row['axis_value']}" if row["axis"] else "whole grid"),
            f"{row['ratio']:.3f} ({row['ci_low']:.3f} to {row['ci_high']:.3f})",
            f"{row['p_adjusted']:.2g}",
            _prose(row["reason"]),
        )
        for row in comparison.grid_tests.to_dict("records")
    ]
    return _table(("verdict", "metric", "where", "ratio", "adjusted p", "reason"), rows[:_MAX_ROWS])


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [" | ".join(heads), " | ".join("---" for _ in heads), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _prose(text: object, limit: int = _MAX_TEXT) -> str:
    return markdown_prose(_shortened(str(text), limit))


def _told(comparison: Comparison, text: str, limit: int = _MAX_TEXT) -> str:
    """A sentence that may name the builds."""
    return _prose(with_short_names(comparison, text, mark="`"), limit)


def _code(text: object) -> str:
    return code(_shortened(str(text)))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shortened(text: str, limit: int = _MAX_TEXT) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
