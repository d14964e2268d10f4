"""Promises of the loader of asv's results, on files that asv itself wrote."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from exhausters.asv_suite.digest import DIGEST_DIGITS
from reports import load_results
from reports.errors import ForeignFileError, SchemaVersionError, TruncatedFileError


def _result_file(folder: Path) -> Path:
    return next(path for path in folder.glob("*/*.json") if path.name != "machine.json")


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _cell(frame: pd.DataFrame, cell: str) -> pd.DataFrame:
    return frame[frame["cell"] == cell].set_index("metric")


def test_parameters_are_values_again(asv_results: Path) -> None:
    """Parameters, which asv writes as repr() strings, become typed axis columns; "all" is no level."""
    frame = load_results([asv_results]).frame
    rows = frame[frame["cell"].str.startswith("toy.Grid(")]
    assert sorted(rows["leave_pages"].dropna().unique()) == [16, 64]
    assert set(rows["workload"]) == {"shared_prefix", "agents"}
    assert rows.loc[rows["leave_pages"].isna(), "cell"].str.contains("leave_pages=all").all()


def test_metrics_of_one_class_and_point_are_one_cell(asv_results: Path) -> None:
    """Two benchmarks of a class at one point are two metrics of one run."""
    rows = _cell(load_results([asv_results]).frame, "toy.Grid(workload=agents,leave_pages=64)")
    assert set(rows.index) == {"outcome", "evicted_tokens", "step_cost"}
    assert rows.loc["evicted_tokens", "value"] == 5
    assert rows.loc["evicted_tokens", "kind"] == "decision"
    assert rows.loc["step_cost", "samples"] == (1.0, 2.0, 3.0)
    assert rows.loc["step_cost", "value"] == 2.0
    assert (rows.loc["step_cost", "kind"], rows.loc["step_cost", "unit"]) == ("host_time", "ms")


def test_null_is_a_failure_and_nan_a_skip(asv_results: Path) -> None:
    """null fails the cell, NaN skips it, and neither looks like a value or disappears."""
    frame = load_results([asv_results]).frame
    failed = _cell(frame, "toy.Grid(workload=shared_prefix,leave_pages=16)")
    skipped = _cell(frame, "toy.Grid(workload=agents,leave_pages=all)")
    assert set(failed["outcome"]) == {"failed"}
    assert "track_evicted_tokens" in failed["reason"].iloc[0]
    assert math.isnan(failed.loc["evicted_tokens", "value"])
    assert set(skipped["outcome"]) == {"skipped"}


def test_a_benchmark_without_any_result_is_a_failure(asv_results: Path) -> None:
    """asv writes one null when all points failed, and drops trailing nulls: still one failed cell."""
    document = json.loads(_result_file(asv_results).read_text())
    row = document["results"]["toy.track_always_fails"]
    assert row[0] is None
    assert len(row) < len(document["result_columns"])
    frame = load_results([asv_results]).frame
    assert set(_cell(frame, "toy.track_always_fails()")["outcome"]) == {"failed"}


def test_suites_that_share_a_run_are_one_cell(asv_results: Path) -> None:
    """Classes that read one set-up are one run: with the id, outcome and digest that one tells."""
    frame = load_results([asv_results]).frame
    rows = frame[(frame["cell"] == "agents/64")].set_index("metric")
    assert set(rows.index) == {"outcome", "chunks", "recompute_tax"}
    assert set(rows["outcome"]) == {"drained"}
    assert set(rows["decision_digest"]) == {"f" * DIGEST_DIGITS}
    assert rows.loc["chunks", "value"] == 3
    assert math.isnan(rows.loc["recompute_tax", "value"])
    assert set(frame.loc[frame["cell"] == "agents/16", "outcome"]) == {"stalled"}


def test_direction_of_asv(asv_results: Path) -> None:
    """Lower is better, as asv reads it, unless the benchmark or the registry says otherwise."""
    frame = load_results([asv_results]).frame.drop_duplicates("metric").set_index("metric")
    assert frame.loc["plain", "better"] == "lower"
    assert frame.loc["plain", "kind"] == "host_time"
    assert frame.loc["goodness", "better"] == "higher"


def test_commit_date_and_machine(asv_results: Path) -> None:
    """The commit, its date in UTC and the machine come from the file."""
    document = json.loads(_result_file(asv_results).read_text())
    row = load_results([asv_results]).frame.iloc[0]
    assert row["commit"] == document["commit_hash"]
    assert row["target"] == document["commit_hash"][:12]
    assert row["date"].timestamp() * 1000 == document["date"]
    assert row["machine"] == document["params"]["machine"]
    assert row["suite"] == "asv"


def test_results_of_an_older_benchmark_are_counted_not_loaded(asv_results: Path) -> None:
    """A result of another version of its benchmark is left out, and reported."""
    benchmarks = json.loads((asv_results / "benchmarks.json").read_text())
    benchmarks["toy.Grid.track_evicted_tokens"]["version"] = "digest2"
    del benchmarks["toy.track_goodness"]
    (asv_results / "benchmarks.json").write_text(json.dumps(benchmarks))
    results = load_results([asv_results])
    assert not (results.frame["metric"] == "evicted_tokens").any()
    assert sorted(one.place.rpartition(": ")[2] for one in results.skipped) == [
        "toy.Grid.track_evicted_tokens",
        "toy.track_goodness",
    ]


def test_two_machines_stay_apart(asv_results: Path) -> None:
    """Results of two machines are both loaded, each with its machine."""
    path = _result_file(asv_results)
    other = asv_results / "other" / path.name
    other.parent.mkdir()
    document = json.loads(path.read_text())
    document["params"]["machine"] = "other"
    other.write_text(json.dumps(document))
    assert load_results([asv_results]).frame["machine"].nunique() == 2


def test_broken_files_are_typed_errors(asv_results: Path) -> None:
    """Truncated, foreign and other-version files are refused, each by its own error and with its name."""
    path = _result_file(asv_results)
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(TruncatedFileError, match=path.name):
        load_results([asv_results])
    path.write_text(text)
    _edit(path, version=1)
    with pytest.raises(SchemaVersionError, match="format 1"):
        load_results([asv_results])
    path.write_text('{"version": 2, "hello": "world"}')
    with pytest.raises(ForeignFileError, match="not a result of asv"):
        load_results([asv_results])
    path.unlink()
    with pytest.raises(ForeignFileError, match="no result of any machine"):
        load_results([asv_results])
