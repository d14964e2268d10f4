"""The table of real commits says what was compared, and hides no miss."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.real_commits.commits import KINDS, RUN_NAME, Commit, Compared, read_compared, read_list
from benchmarks.real_commits.table import BEGIN, END, table, write_table
from exhausters.errors import UsageError

ONE = Commit(id="a" * 9, kind="refactor", title="Move | rename", expected=("identical",), because="a move")
TWO = Commit(
    id="b" * 9, kind="cost", title="[perf] Less", expected=("better",), because="less", note="Same file."
)


def _compared(answer: str) -> Compared:
    return Compared(
        answer=answer,
        sentence=f"{answer}: said",
        reach="1 of 2 changed lines reached",
        differing_cells=1,
        cells=6,
        seconds=12.4,
    )


def test_the_list_has_the_kinds_it_says() -> None:
    """Twenty commits, each once: ten of decisions, five of cost, five refactors, each with an expectation."""
    commits = read_list()
    assert len({one.id for one in commits}) == len(commits) == 20
    assert [sum(one.kind == kind for one in commits) for kind in KINDS] == [10, 5, 5]
    assert all(one.expected and one.because for one in commits)


def test_an_answer_that_does_not_agree_is_shown_and_counted() -> None:
    """A miss stands in the table as a miss, with what there is to be said of it."""
    text = table([ONE, TWO], {ONE.id: _compared("identical"), TWO.id: _compared("worse")})
    assert "1 of 2 answers agree with the title." in text
    row = next(line for line in text.splitlines() if f"`{TWO.id}` |" in line)
    assert "**worse**" in row
    assert row.endswith("| **no** |")
    assert f"* `{TWO.id}`: worse: said. Same file." in text
    assert "Move \\| rename" in text


def test_a_table_names_no_folder() -> None:
    """A commit is named in the document without the place of the clone it came from."""
    found = replace(_compared("worse"), sentence="crashed in head (git:/home/me/sglang@abc~1: no boot)")
    assert f"* `{ONE.id}`: crashed in head (abc~1: no boot)." in table([ONE], {ONE.id: found})


def test_only_the_table_is_replaced(tmp_path: Path) -> None:
    """The text around the marks stays, also when the table is written twice; without marks nothing is."""
    document = tmp_path / "page.md"
    document.write_text(f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n")
    for _ in range(2):
        write_table(document, [ONE], {ONE.id: _compared("identical")})
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert text.count(BEGIN) == text.count("`aaaaaaaaa` |") == 1
    document.write_text("nothing")
    with pytest.raises(UsageError, match=r"page\.md: expected the lines"):
        write_table(document, [ONE], {})


def test_a_comparison_without_a_report_is_a_failure(tmp_path: Path) -> None:
    """A command that left no report has failed, with the last line it printed; one that never ran is none."""
    assert read_compared(tmp_path) is None
    (tmp_path / RUN_NAME).write_text(json.dumps({"seconds": 3.0, "exit_code": 2, "last_line": "error: no"}))
    found = read_compared(tmp_path)
    assert found is not None
    assert (found.answer, found.sentence) == ("failed", "error: no")
