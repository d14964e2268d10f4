"""Load the JSON files of pytest-benchmark (`--benchmark-json`, `--benchmark-save`).

The file's limits: a test that failed after it was timed looks like one that passed, and a benchmark that
raised is absent. The second shows as a missing cell as soon as the other build
has it; suites should put `outcome` into `extra_info` for the first.

Keys of `extra_info` that are read: `target`, `target_version`, `target_commit`, `target_date`, `cell`,
`axes`, `timer`, `outcome`, `reason`, `metrics`, `samples`, `round`, `order`, `decision_digest`,
`provenance`. `timer` says in plain words what was timed; pytest-benchmark itself has at most a function's
name. `commit_info` is the harness's repository, not SGLang's, and goes to the provenance only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from exhausters.observe.metrics import HOST, LOWER, Metric
from exhausters.pressure import ALL
from exhausters.sweep.record import DRAINED, SCHEMA_VERSION
from reports.errors import DuplicateRunError, ForeignFileError, SchemaVersionError
from reports.load.json_file import read_object, utc_date
from reports.load.measurements import Reading, Run, Session, metric_named
from reports.vocabulary import ALL_OUTCOMES, PYTEST_BENCHMARK

# The format has no version of its own; these majors of pytest-benchmark write it.
SUPPORTED_MAJORS = (4, 5)
# Seconds of one round of the benchmarked function, by the clock that the suite chose.
BENCHMARK_SECONDS = Metric(
    name="benchmark_seconds",
    unit="s",
    kind=HOST,
    better=LOWER,
    smallest_effect=0.05,
    meaning="Median time per round, by the benchmark's own timer.",
)
# What suites write where a level leaves everything, and where an axis does not apply.
_NOT_SET = (ALL, "-")


def is_pytest_benchmark(document: Mapping[str, Any]) -> bool:
    """Return whether a JSON document was written by pytest-benchmark."""
    return {"machine_info", "commit_info", "benchmarks"} <= set(document)


def load_pytest_benchmark(path: Path) -> tuple[Session, list[Run]]:
    """Return the session and the runs of one file.

    Raises:
        TruncatedFileError, ForeignFileError, SchemaVersionError: the file cannot be read.
        DuplicateRunError: a cell is there twice for one target and round.
    """
    document = read_object(path)
    if not is_pytest_benchmark(document):
        raise ForeignFileError(f"{path}: not a file of pytest-benchmark (keys {', '.join(sorted(document))})")
    version = str(document.get("version", ""))
    if version.partition(".")[0] not in map(str, SUPPORTED_MAJORS):
        raise SchemaVersionError(
            f"{path}: written by pytest-benchmark {version!r}, expected a version "
            f"{' or '.join(map(str, SUPPORTED_MAJORS))}"
        )
    runs: list[Run] = []
    seen: set[tuple[object, ...]] = set()
    for entry in document["benchmarks"]:
        try:
            run = _run(entry, document, path)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ForeignFileError(
                f"{path}: a benchmark is not what pytest-benchmark writes ({type(error).__name__}: {error})"
            ) from error
        key = (run.target, run.cell, run.round)
        if key in seen:
            raise DuplicateRunError(f"{path}: cell {run.cell!r} of {run.target} is there twice; keep one")
        seen.add(key)
        runs.append(run)
    return Session(name=str(path), suite=PYTEST_BENCHMARK), runs


def _run(entry: Mapping[str, Any], document: Mapping[str, Any], path: Path) -> Run:
    info = entry.get("extra_info") or {}
    axes = {**(entry.get("params") or {}), **(info.get("axes") or {})}
    outcome = str(info.get("outcome", DRAINED))
    if outcome not in ALL_OUTCOMES:
        raise ValueError(f"outcome={outcome!r}: expected one of {', '.join(sorted(ALL_OUTCOMES))}")
    machine = document["machine_info"]
    return Run(
        target=str(info.get("target", "unknown")),
        suite=PYTEST_BENCHMARK,
        session=str(path),
        cell=str(info.get("cell") or entry["fullname"]),
        outcome=outcome,
        version=info.get("target_version"),
        commit=info.get("target_commit"),
        committed=utc_date(info.get("target_date")),
        measured=utc_date(document["datetime"]),
        machine=machine.get("node"),
        axes={name: None if value in _NOT_SET else value for name, value in axes.items()},
        readings=_readings(entry, info),
        reason=str(info.get("reason", "")),
        round=info.get("round"),
        order=info.get("order"),
        decision_digest=info.get("decision_digest"),
        provenance={
            "harness_schema": SCHEMA_VERSION,
            "python_version": machine.get("python_version"),
            **(info.get("provenance") or {}),
            "harness_commit": (document.get("commit_info") or {}).get("id"),
            "pytest_benchmark": document.get("version"),
        },
    )


def _seconds_of(info: Mapping[str, Any]) -> Metric:
    """The time of a round, described by the timer that the suite names."""
    timer = info.get("timer")
    if not timer:
        return BENCHMARK_SECONDS
    return replace(BENCHMARK_SECONDS, meaning=f"Median time per round, in {timer}.")


def _readings(entry: Mapping[str, Any], info: Mapping[str, Any]) -> tuple[Reading, ...]:
    stats = entry.get("stats") or {}
    readings = []
    if stats.get("median") is not None:
        samples = tuple(float(value) for value in stats.get("data") or ())
        readings.append(Reading(metric=_seconds_of(info), value=float(stats["median"]), samples=samples))
    samples_of = info.get("samples") or {}
    for name, value in (info.get("metrics") or {}).items():
        readings.append(
            Reading(
                metric=metric_named(name),
                value=None if value is None else float(value),
                samples=tuple(map(float, samples_of.get(name, ()))),
            )
        )
    return tuple(readings)
