"""The table shows every cell, those that failed included."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console

from exhausters.console import print_whole
from exhausters.observe.metrics import METRICS
from exhausters.sweep.record import CRASHED, STALLED, RunRecord
from exhausters.sweep.table import _COLUMNS, records_table
from tests.sweep.samples import a_grid, a_record


def _rendered(records: Sequence[RunRecord], width: int = 132) -> str:
    console = Console(width=width, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(records_table(records, title="the title"))
    return captured.get()


def test_all_columns_are_shown_in_a_usual_width() -> None:
    """Levels, taking, outcome and each metric fit into 132 columns, with their numbers."""
    (cell,) = a_grid(leave_pages=[3], leave_refs=[0], leave_rows=[9], held=[True]).cells
    values = {name: 1000 + i for i, (name, _, _) in enumerate(_COLUMNS)}
    text = _rendered([a_record(cell, **values)])
    assert "the title" in text
    assert "bursts  (p16)" in text
    for words in ("leave", "outcome", "steps", "evicted", "retrac-", "chunk"):
        assert words in text
    row = next(line for line in text.splitlines() if "drained" in line).split()
    assert row[:5] == ["3", "0", "9", "held", "drained"]
    assert [float(value.replace(",", "")) for value in row[5:]] == list(values.values())


def test_no_column_is_cut_off_without_a_window() -> None:
    """A table that is wider than a file's usual lines is written to it with its last number."""
    (cell,) = a_grid(leave_window_tokens=[512]).cells
    record = a_record(
        cell, draft_kv_returned_tokens=1, accepted_draft_tokens=1, window_evicted_tokens=987654321
    )
    table = records_table([record], title="the title")
    written = io.StringIO()
    console = Console(file=written, width=140)
    print_whole(console, table)
    assert "987,654,321" in written.getvalue()
    assert "987,654,321" not in _rendered([record], width=140)
    assert console.width == 140


def test_drafts_are_shown_where_none_was_right() -> None:
    """Columns of a feature are in the table if any of their numbers is not 0, not only the first."""
    (cell,) = a_grid().cells
    text = _rendered([a_record(cell, accepted_draft_tokens=0, rejected_draft_tokens=24_384)], width=150)
    assert "24,384" in text


def test_failed_cells_are_shown() -> None:
    """A cell without metrics has its row, with its outcome and dashes; `all` stands for no level."""
    first, second = a_grid(leave_pages=["all", 3]).cells
    text = _rendered(
        [a_record(first, outcome=CRASHED, reason="gone"), a_record(second, outcome=STALLED, retractions=2)]
    )
    crashed = next(line for line in text.splitlines() if "crashed" in line).split()
    assert crashed == ["all", "all", "all", "once", "crashed", *["–"] * len(_COLUMNS)]
    assert "stalled" in text


def test_one_part_for_each_workload_and_engine() -> None:
    """Cells are grouped under workload and engine settings, in the order of the grid."""
    grid = a_grid(workload=["bursts", "agents"], page_size=[1, 16], leave_pages=["all", 3])
    text = _rendered([a_record(cell) for cell in grid.cells])
    headings = [line.strip() for line in text.splitlines() if "(p" in line]
    assert headings == ["bursts  (p1)", "agents  (p1)", "bursts  (p16)", "agents  (p16)"]
    assert sum("drained" in line for line in text.splitlines()) == 8


def test_columns_are_registered_metrics() -> None:
    """The table shows nothing that the registry does not describe."""
    assert {name for name, _, _ in _COLUMNS} <= set(METRICS)


def test_what_is_evicted_of_a_pool_is_shown_with_its_level() -> None:
    """The level of mamba slots brings a column of evicted ones, and no other level does."""
    plain, pressed = a_grid(leave_mamba_slots=["all", 7]).cells
    text = _rendered([a_record(plain), a_record(pressed, mamba_evicted_slots=64)], width=160)
    rows = [line.split() for line in text.splitlines() if "drained" in line]
    assert [row[3] for row in rows] == ["all", "7"]
    assert rows[1][-1] == "64"
    alone = _rendered([a_record(plain)])
    assert not any(word in alone for word in ("mamba", "slots"))


def test_the_host_tier_is_shown_where_it_is() -> None:
    """The level of host pages and what moved have columns once one cell has them, and else none."""
    plain, pressed = a_grid(leave_host_pages=["all", 7]).cells
    text = _rendered([a_record(plain, backed_up_tokens=0), a_record(pressed, backed_up_tokens=64)], width=160)
    rows = [line.split() for line in text.splitlines() if "drained" in line]
    assert [row[:5] for row in rows] == [["all", "all", "all", level, "once"] for level in ("all", "7")]
    assert [row[-2:] for row in rows] == [["0", "–"], ["64", "–"]]
    alone = _rendered([a_record(plain, backed_up_tokens=0)])
    assert not any(word in alone for word in ("host", "backed"))


def test_transfers_are_shown_where_they_are() -> None:
    """What waited for transfers, and what they lost, has a column where it is not 0 everywhere."""
    plain, pressed = a_grid(leave_prealloc_slots=["all", 7]).cells
    records = [a_record(plain, transfer_wait_steps=3), a_record(pressed, prealloc_wait_steps=4)]
    text = _rendered(records, width=160)
    rows = [line.split() for line in text.splitlines() if "drained" in line]
    assert [row[-2:] for row in rows] == [["3", "–"], ["–", "4"]]
    assert "failed" not in text
    assert not any(word in _rendered([a_record(plain)]) for word in ("trans", "alloc", "slots"))
