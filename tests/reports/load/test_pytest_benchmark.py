"""Promises of the loader of pytest-benchmark's JSON, on a file that it wrote itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports import load_results
from reports.errors import DuplicateRunError, ForeignFileError, SchemaVersionError, TruncatedFileError
from reports.load.pytest_benchmark import load_pytest_benchmark
from reports.render.json_report import results_document


def test_a_real_file_becomes_rows(benchmark_json: Path) -> None:
    """Each benchmark is a run with its parameters as axes, its samples, and the metrics it carries along."""
    frame = load_results([benchmark_json]).frame
    rows = frame[frame["leave_pages"] == 64].set_index("metric")
    assert set(rows.index) == {"outcome", "benchmark_seconds", "evicted_tokens", "recompute_tax"}
    assert len(rows.loc["benchmark_seconds", "samples"]) == 5
    assert rows.loc["benchmark_seconds", "kind"] == "host_time"
    assert rows.loc["evicted_tokens", "value"] == 5
    assert set(rows["suite"]) == {"pytest_benchmark"}
    assert (frame["workload"] == "agents").all()


def test_the_commit_is_the_targets_not_the_harnesss(benchmark_json: Path) -> None:
    """`commit_info` describes the harness and never reaches the commit column."""
    document = json.loads(benchmark_json.read_text())
    document["commit_info"]["id"] = "b" * 40
    benchmark_json.write_text(json.dumps(document))
    frame = load_results([benchmark_json]).frame
    assert set(frame["commit"]) == {"a" * 40}
    assert set(frame["target"]) == {"release:0.5.23"}
    assert frame["provenance"].iloc[0]["harness_commit"] == "b" * 40


def test_axes_that_are_not_set_have_no_value(benchmark_json: Path) -> None:
    """A level that leaves all, and an axis without a meaning for the benchmark, are no values of the axis."""
    document = json.loads(benchmark_json.read_text())
    document["benchmarks"][0]["params"] = {"workload": "-", "leave_pages": "-", "held": "-"}
    benchmark_json.write_text(json.dumps(document))
    frame = load_results([benchmark_json]).frame
    assert frame["leave_pages"].isna().all()
    assert frame.loc[frame["run"] == 0, ["workload", "held"]].isna().all(axis=None)
    assert set(frame.loc[frame["run"] == 1, "workload"]) == {"agents"}


@pytest.mark.parametrize(
    ("timer", "meaning"),
    [
        (None, "Median time per round, by the benchmark's own timer."),
        ("CPU time of a thread", "Median time per round, in CPU time of a thread."),
    ],
)
def test_times_are_described_by_their_timer(benchmark_json: Path, timer: str | None, meaning: str) -> None:
    """Times are those of the clock that the suite names, and of no particular one where it names none."""
    document = json.loads(benchmark_json.read_text())
    for one in document["benchmarks"]:
        one["extra_info"] |= {} if timer is None else {"timer": timer}
    benchmark_json.write_text(json.dumps(document))
    _, runs = load_pytest_benchmark(benchmark_json)
    assert {run.readings[0].metric.name for run in runs} == {"benchmark_seconds"}
    assert {run.readings[0].metric.meaning for run in runs} == {meaning}
    shown = results_document(load_results([benchmark_json]))["metrics"]
    assert [one["meaning"] for one in shown if one["name"] == "benchmark_seconds"] == [meaning]


def test_a_benchmark_that_raised_is_not_in_the_file(benchmark_json: Path) -> None:
    """A benchmark that raised leaves no trace: only the other build shows that it is missing."""
    assert not load_results([benchmark_json]).frame["cell"].str.contains("test_raises").any()


def test_an_outcome_in_extra_info_is_kept(benchmark_json: Path) -> None:
    """A suite can report how a cell ended; an unknown word is refused."""
    document = json.loads(benchmark_json.read_text())
    document["benchmarks"][0]["extra_info"]["outcome"] = "stalled"
    benchmark_json.write_text(json.dumps(document))
    assert "stalled" in set(load_results([benchmark_json]).frame["outcome"])
    document["benchmarks"][0]["extra_info"]["outcome"] = "splendid"
    benchmark_json.write_text(json.dumps(document))
    with pytest.raises(ForeignFileError, match="splendid"):
        load_results([benchmark_json])


def test_broken_files_are_typed_errors(benchmark_json: Path) -> None:
    """Truncated, foreign, other-version files and duplicate benchmarks are refused, each by its own error."""
    text = benchmark_json.read_text()
    document = json.loads(text)
    for changed, error in (
        (text[: len(text) // 2], TruncatedFileError),
        (json.dumps(document | {"version": "3.2.0"}), SchemaVersionError),
        (json.dumps(document | {"benchmarks": [{"hello": 1}]}), ForeignFileError),
        (json.dumps(document | {"benchmarks": document["benchmarks"] * 2}), DuplicateRunError),
        ("[1, 2]", ForeignFileError),
        ("not json at all", ForeignFileError),
    ):
        benchmark_json.write_text(changed)
        with pytest.raises(error, match=benchmark_json.name):
            load_results([benchmark_json])
