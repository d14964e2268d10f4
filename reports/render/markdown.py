"""A comparison as a comment on a pull request: one screen, details folded, never over GitHub's limit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from reports.detect.coverage import coverage_lines
from reports.detect.thresholds import GITHUB_COMMENT_LIMIT
from reports.explain.comparison import Comparison
from reports.explain.divergence import LogDivergence
from reports.explain.headlines import Headline, counts_by_verdict
from reports.render.escape import code, markdown_text
from reports.vocabulary import BETTER, BROKEN, CHANGED, SAME, UNDECIDED, VERDICTS, WORSE

_SIGNS = {WORSE: "🔴", BROKEN: "💥", UNDECIDED: "🟡", BETTER: "🟢", CHANGED: "🔵", SAME: "⚪"}
_MAX_HEADLINES = 5
_MAX_DETAILS = 60
_MAX_ROWS = 100
_MAX_REASONS = 20
# One name or sentence; longer ones are cut so that a single text cannot fill the comment.
_MAX_TEXT = 300
_CUT = "\n\n_Truncated: a comment cannot be longer. The JSON report has everything._\n"


def render_markdown(comparison: Comparison) -> str:
    """Return the comment."""
    decision = comparison.decision
    builds = f"{_code(comparison.base)} → {_code(comparison.head)}"
    title = f"## {_SIGNS[decision.verdict]} {decision.verdict}: {builds}"
    judged = _text("; ".join(coverage_lines(comparison.kinds)))
    parts = [title, _counts(comparison), judged, *_first_screen(comparison)]
    whole = "\n\n".join(part for part in parts if part) + "\n"
    # Each folded section is added as a whole or not at all, so that no tag stays open.
    for part in _folded(comparison):
        if len(whole) + len(part) + len(_CUT) + 2 > GITHUB_COMMENT_LIMIT:
            return whole + _CUT
        whole += f"\n{part}\n"
    return whole


def _counts(comparison: Comparison) -> str:
    counts = counts_by_verdict(comparison.cells["verdict"], VERDICTS)
    counted = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    return f"{len(comparison.cells)} cells: {counted or 'none compared'}."


def _first_screen(comparison: Comparison) -> Iterator[str]:
    totals = [f"* refused: {_text(refusal)}" for refusal in comparison.refusals if refusal.is_total]
    yield "\n".join(totals)
    shown = comparison.headlines[:_MAX_HEADLINES]
    yield "\n".join(f"* {_SIGNS[one.lead.verdict]} {_text(one.text)}" for one in shown)
    hidden = len(comparison.headlines) - len(shown)
    if hidden > 0:
        yield f"… and {hidden} more below."


def _folded(comparison: Comparison) -> Iterator[str]:
    if comparison.decision.reasons:
        reasons = comparison.decision.reasons
        lines = [f"* {_text(reason)}" for reason in reasons[:_MAX_REASONS]]
        if len(reasons) > _MAX_REASONS:
            lines.append(f"* … and {len(reasons) - _MAX_REASONS} more")
        yield _fold(f"Why ({len(reasons)})", "\n".join(lines))
    if comparison.headlines:
        yield _fold("All headlines", _headline_table(comparison.headlines[:_MAX_DETAILS]))
    for divergence in comparison.divergences:
        yield _fold(f"First step that differs in {_code(divergence.cell)}", _divergence(divergence))
    if len(comparison.grid_tests):
        yield _fold("Host time over the grid", _tests(comparison))
    moved = comparison.verdicts[~comparison.verdicts["verdict"].isin([SAME, UNDECIDED])]
    if len(moved):
        cut = f", the first {_MAX_ROWS}" if len(moved) > _MAX_ROWS else ""
        yield _fold(f"Verdicts ({len(moved)}{cut})", _verdict_table(comparison))
    notes = [*(str(one) for one in comparison.refusals if not one.is_total), *comparison.notes]
    if notes:
        yield _fold("Notes", "\n".join(f"* {_text(note)}" for note in notes))


def _fold(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _headline_table(headlines: tuple[Headline, ...]) -> str:
    rows = [
        (
            f"{_SIGNS[one.lead.verdict]} {one.lead.verdict}",
            _text(one.text),
            str(len(one.lead.cells)),
            _text(", ".join(f"{other.metric} {other.change}".strip() for other in one.others)),
        )
        for one in headlines
    ]
    return _table(("verdict", "where: what", "cells", "also changed"), rows)


def _verdict_table(comparison: Comparison) -> str:
    moved = comparison.verdicts[~comparison.verdicts["verdict"].isin([SAME, UNDECIDED])]
    rank = moved["verdict"].map({word: place for place, word in enumerate(VERDICTS)})
    ordered = moved.assign(rank=rank).sort_values("rank", kind="stable")[:_MAX_ROWS]
    rows = [
        (
            str(row["verdict"]) + (" (waived)" if row["waived"] else ""),
            _code(row["cell"]),
            _code(row["metric"]),
            f"{row['base']:.6g} → {row['head']:.6g}" if row["base"] == row["base"] else "",
            _text(row["waived"] or row["reason"]),
        )
        for row in ordered.to_dict("records")
    ]
    return _table(("verdict", "cell", "metric", "base → head", "reason"), rows)


def _tests(comparison: Comparison) -> str:
    rows = [
        (
            str(row["verdict"]),
            _code(row["metric"]),
            _text(f"{row['axis']} = {row['axis_value']}" if row["axis"] else "whole grid"),
            f"{row['ratio']:.3f} ({row['ci_low']:.3f} to {row['ci_high']:.3f})",
            f"{row['p_adjusted']:.2g}",
            _text(row["reason"]),
        )
        for row in comparison.grid_tests.to_dict("records")
    ]
    return _table(("verdict", "metric", "where", "ratio", "adjusted p", "reason"), rows[:_MAX_ROWS])


def _divergence(divergence: LogDivergence) -> str:
    if divergence.step is None:
        return _text(divergence.problem)
    lines = [f"Step {divergence.step}: {_text(', '.join(divergence.field_names) or 'one log ends')}.", ""]
    for name, steps in (("base", divergence.base), ("head", divergence.head)):
        shown = "<br>".join(_code(json.dumps(step, ensure_ascii=False)) for step in steps)
        lines.append(f"**{name}**<br>{shown}\n")
    return "\n".join(lines)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [" | ".join(heads), " | ".join("---" for _ in heads), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _text(text: object) -> str:
    return markdown_text(_shortened(str(text)))


def _code(text: object) -> str:
    return code(_shortened(str(text)))


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
