"""Promises of `python -m reports history`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exhausters.observe.decision_log import DecisionLog
from reports.cli.app import app
from reports.errors import SelectionError
from reports.load.load_results import load_results
from reports.render.history_table import history_table, parse_where
from tests.reports.make import METRICS, cells, write_sweep

GRID = cells(workloads=("agents",), pages=(None, 64), page_sizes=(16,))


def write_release(folder: Path, version: str, steps: dict[int | None, int], **digests: str) -> Path:
    """A sweep of a release: steps of the cell with all pages and of that with 64; digests by `all`, `p64`."""

    def change(one: dict[str, object]) -> dict[str, object]:
        left = one["levels"]["leave_pages"]  # type: ignore[index]
        digest = digests.get("all" if left is None else f"p{left}", "same")
        if left not in steps:
            return one | {"outcome": "stalled", "reason": "no forward", "decision_digest": digest}
        return one | {"metrics": METRICS | {"steps_to_drain": steps[left]}, "decision_digest": digest}

    return write_sweep(
        folder / version, f"release:{version}", change, GRID, target_version=version, target_commit=None
    )


def rows(text: str) -> list[list[str]]:
    """The table's cells, row by row, without the line below the head."""
    lines = [line for line in text.splitlines() if not line.startswith("|:")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_same_letter_means_same_decisions(tmp_path: Path) -> None:
    """Builds stand in the order of their versions; those that decide alike in every cell share a letter."""
    write_release(tmp_path, "0.5.10", {None: 9, 64: 11}, p64="other")
    write_release(tmp_path, "0.5.8", {None: 7, 64: 8})
    write_release(tmp_path, "0.5.9", {None: 7, 64: 8})
    assert rows(history_table(load_results([tmp_path]), metrics=["steps_to_drain"])) == [
        ["build", "decisions", "as before", "drained", "steps_to_drain"],
        ["release:0.5.8", "A", "–", "2/2", "7.50"],
        ["release:0.5.9", "A", "2/2", "2/2", "7.50"],
        ["release:0.5.10", "B", "1/2", "2/2", "10"],
    ]


def test_means_are_over_the_same_cells(tmp_path: Path) -> None:
    """A cell that stalled in one build is in no row's mean; a build in which none drained takes none away."""
    write_release(tmp_path, "0.5.8", {None: 7, 64: 8})
    write_release(tmp_path, "0.5.9", {})
    write_release(tmp_path, "0.5.10", {None: 4}, p64="cut short")
    assert rows(history_table(load_results([tmp_path]), metrics=["steps_to_drain"]))[1:] == [
        ["release:0.5.8", "A", "–", "2/2", "7"],
        ["release:0.5.9", "–", "–", "0/2", "failed"],
        ["release:0.5.10", "B", "1/2", "1/2", "4"],
    ]


def test_part_of_the_grid(tmp_path: Path) -> None:
    """`--where` names cells by their axes; `all` is the level that leaves everything."""
    write_release(tmp_path, "0.5.8", {None: 7, 64: 8})
    results = load_results([tmp_path])
    for place, steps in (("leave_pages=64", "8"), ("leave_pages=all,workload=agents", "7")):
        table = history_table(results, metrics=["steps_to_drain"], where=parse_where(place))
        assert rows(table)[1][-2:] == ["1/1", steps]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"metrics": ["nosuch"]}, "--metric nosuch"),
        ({"where": {"nosuch": "1"}}, "--where nosuch=1: no such axis"),
        ({"where": {"leave_pages": "3"}}, "the values are 64, all"),
    ],
)
def test_unknown_names_are_reported(tmp_path: Path, how: dict[str, object], expected: str) -> None:
    """A metric, an axis or a value that is not there is an error that names what there is."""
    write_release(tmp_path, "0.5.8", {None: 7, 64: 8})
    with pytest.raises(SelectionError, match=expected):
        history_table(load_results([tmp_path]), **({"metrics": ["steps_to_drain"]} | how))  # type: ignore[arg-type]


def test_an_unsupported_build_is_no_failure(tmp_path: Path) -> None:
    """A build that has no such switch is called unsupported, and empty logs are not as before."""
    for version in ("0.5.8", "0.5.9"):
        empty = {"outcome": "aborted", "decision_digest": DecisionLog(steps=()).digest, "reason": "no step"}
        write_sweep(tmp_path / version, f"release:{version}", lambda one, e=empty: one | e, GRID)  # type: ignore[misc]
    lacking = {"outcome": "unsupported", "reason": "no such switch", "metrics": {}, "decision_digest": None}
    write_sweep(tmp_path / "0.5.10", "release:0.5.10", lambda one: one | lacking, GRID)
    write_release(tmp_path, "0.5.11", {None: 4, 64: 5})
    table = rows(history_table(load_results([tmp_path]), metrics=["steps_to_drain"]))
    assert [(row[0], row[2], row[4]) for row in table[1:]] == [
        ("release:0.5.8", "–", "failed"),
        ("release:0.5.9", "–", "failed"),
        ("release:0.5.10", "–", "unsupported"),
        ("release:0.5.11", "–", "4.50"),
    ]


def test_default_columns_are_those_that_are_there(tmp_path: Path) -> None:
    """A sweep that counted no work makes a table without columns of work, not an error."""
    write_release(tmp_path, "0.5.8", {None: 7, 64: 8})
    assert rows(history_table(load_results([tmp_path])))[0][4:] == ["steps_to_drain", "retractions"]


def test_misspelt_metric_is_answered_with_near_ones(tmp_path: Path) -> None:
    """A metric that is nearly right is answered with the one that was meant, not with a wall of names."""
    write_release(tmp_path, "0.5.8", {None: 7, 64: 8})
    with pytest.raises(SelectionError, match=r"e\.g\. steps_to_drain;"):
        history_table(load_results([tmp_path]), metrics=["steps_to_dran"])


def test_left_out_results_are_counted(asv_results: Path) -> None:
    """Results of another grid or version are no rows, and are reported on standard error."""
    benchmarks = json.loads((asv_results / "benchmarks.json").read_text())
    benchmarks["toy.Grid.track_evicted_tokens"]["version"] = "another"
    (asv_results / "benchmarks.json").write_text(json.dumps(benchmarks))
    done = CliRunner().invoke(app, ["history", str(asv_results), "--metric", "chunks"])
    assert done.exit_code == 0
    assert "left out: 1 results: measured with another grid" in done.stderr


def test_commits_of_asv_have_their_tags(asv_results: Path) -> None:
    """asv's results make a table too; a commit that has a tag in the repository has its name."""
    results = load_results([asv_results])
    commit = str(results.frame["commit"].iloc[0])
    table = history_table(results, metrics=["evicted_tokens"], names={commit: "v0.5.23"})
    assert rows(table)[1][0] == "v0.5.23"


def test_command_line(tmp_path: Path) -> None:
    """The command prints the table, and exits with 2 when it cannot."""
    write_release(tmp_path, "0.5.8", {None: 7, 64: 8})
    arguments = ["history", str(tmp_path), "--metric", "steps_to_drain"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert rows(done.output)[1][0] == "release:0.5.8"
    parts = CliRunner().invoke(app, [*arguments, "--where", "leave_pages=64", "--where", "leave_pages=all"])
    assert [line for line in parts.output.splitlines() if "**" in line] == [
        "**leave_pages=64**",
        "**leave_pages=all**",
    ]
    assert CliRunner().invoke(app, [*arguments, "--where", "nonsense"]).exit_code == 2
