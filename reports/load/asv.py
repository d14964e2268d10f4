"""Load a results folder of asv: `benchmarks.json` and one file for each machine, commit and environment."""

from __future__ import annotations

import ast
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from exhausters.asv_suite.digest import digest_text
from exhausters.observe.metrics import HIGHER, HOST, KINDS, LOWER, METRICS, Metric
from exhausters.pressure import ALL
from exhausters.sweep.record import DRAINED, OUTCOMES
from reports.errors import ForeignFileError, SchemaVersionError
from reports.load.json_file import read_object
from reports.load.measurements import Reading, Run, Session, Skipped
from reports.vocabulary import ASV, DECISION_LOG, FAILED, OUTCOME, SKIPPED, UNREGISTERED

BENCHMARKS_NAME, MACHINE_NAME = "benchmarks.json", "machine.json"
# `api_version` of asv's Benchmarks and Results classes, written as `version` (asv 0.6.6).
ASV_FORMAT = 2
# Methods are named after what they measure: `track_evicted_tokens`, `time_step`.
_PREFIXES = ("track_", "time_", "timeraw_", "mem_", "peakmem_")
# asv's timings are wall time of one process: noisy, and of interest from 5 % on.
_TIMING_TYPES = ("time", "timeraw")
_NOISY_EFFECT = 0.05
_COMMIT_LENGTH = 12
# Units with which the suites of `exhausters.asv_suite` mark numbers that are not to be compared.
_OUTCOME_UNIT, _DIGEST_UNIT = "code", "digest"


def is_asv(path: Path) -> bool:
    """Return whether a folder is a results folder of asv."""
    return (path / BENCHMARKS_NAME).is_file()


def load_asv(folder: Path) -> tuple[Session, list[Run], list[Skipped]]:
    """Return the session, the runs, and the results of an older version of a benchmark, which are left out.

    Benchmarks that share a `setup_cache`, else those of one class, are one run at each point of their
    parameters: `Grid.track_a` and `Grid.track_b` at (64, 16) are two metrics of the cell
    `Grid(leave_pages=64,page_size=16)`. Null is a failure, NaN a skip. A benchmark `track_outcome` (unit
    `code`, see `exhausters.asv_suite`) reports how the run ended: then NaN is a metric without a value, and
    null in a run that did not drain no failure; its attribute `cell_ids` names the cells, point by point, as
    a sweep names them. `track_decision_log` (unit `digest`) is the log's digest.

    Raises:
        TruncatedFileError, ForeignFileError, SchemaVersionError: a file that cannot be read; names it.
    """
    benchmarks = read_object(folder / BENCHMARKS_NAME)
    _require_format(benchmarks, folder / BENCHMARKS_NAME)
    runs: list[Run] = []
    skipped: list[Skipped] = []
    files = [path for path in sorted(folder.glob("*/*.json")) if path.name != MACHINE_NAME]
    for path in files:
        document = read_object(path)
        _require_format(document, path)
        try:
            runs += _file_runs(document, benchmarks, folder, path, skipped)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ForeignFileError(
                f"{path}: not a result of asv ({type(error).__name__}: {error})"
            ) from error
    if not files:
        raise ForeignFileError(f"{folder}: {BENCHMARKS_NAME} but no result of any machine; run asv first")
    return Session(name=str(folder), suite=ASV), runs, skipped


def _require_format(document: Mapping[str, Any], path: Path) -> None:
    if document.get("version") != ASV_FORMAT:
        raise SchemaVersionError(
            f"{path}: format {document.get('version')!r}, expected {ASV_FORMAT} (asv 0.6); run `asv update`"
        )


@dataclass(slots=True)
class _Cell:
    """What the benchmarks of one run say about one point of their parameters."""

    id: str
    axes: dict[str, object]
    values: dict[str, Reading] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    reported_outcome: str | None = None
    digest: str | None = None
    versions: dict[str, object] = field(default_factory=dict)

    def add(self, method: str, metric: Metric, value: float | None, samples: tuple[float, ...]) -> None:
        """Take in the value of one benchmark."""
        is_known = value is not None and not math.isnan(value)
        if value is None:
            self.failed.append(method)
        elif not is_known:
            self.skipped.append(method)
        if metric.name == OUTCOME and metric.unit == _OUTCOME_UNIT:
            self.reported_outcome = OUTCOMES[int(value)] if is_known and value is not None else None
        elif metric.name == DECISION_LOG and metric.unit == _DIGEST_UNIT:
            self.digest = digest_text(value) if is_known and value is not None else None
        else:
            self.values[metric.name] = Reading(
                metric=metric, value=value if is_known else None, samples=samples
            )

    def outcome(self) -> tuple[str, str]:
        """How the run ended, and why. A cell that is only partly there must not pass."""
        reported = self.reported_outcome
        if reported is not None and (reported != DRAINED or not self.failed):
            return reported, "" if reported == DRAINED else "asv stores no reason; see .asv/records"
        if self.failed:
            return FAILED, f"failed or timed out: {', '.join(sorted(self.failed))}"
        if self.skipped:
            return SKIPPED, f"skipped: {', '.join(sorted(self.skipped))}"
        return DRAINED, ""


def _file_runs(
    document: Mapping[str, Any],
    benchmarks: Mapping[str, Any],
    folder: Path,
    path: Path,
    skipped: list[Skipped],
) -> list[Run]:
    cells: dict[str, _Cell] = {}
    for name, row in document["results"].items():
        # asv drops trailing nulls from a row: what is absent is null.
        columns = defaultdict(lambda: None, zip(document["result_columns"], row, strict=False))
        about = benchmarks.get(name)
        if about is None:
            skipped.append(Skipped(place=f"{path}: {name}", reason=f"not in {BENCHMARKS_NAME}"))
        elif columns["version"] not in (None, about.get("version")):
            reason = (
                "measured with another grid or version of the benchmark than asv ran last; "
                "`EXHAUSTERS_ASV_GRID=GRID asv run --bench just-discover` selects a grid again"
            )
            skipped.append(Skipped(place=f"{path}: {name}", reason=reason))
        else:
            _add_benchmark(cells, name, about, columns)
    return [_run(cell, document, folder, path) for cell in cells.values()]


def _add_benchmark(
    cells: dict[str, _Cell], name: str, about: Mapping[str, Any], columns: Mapping[str, Any]
) -> None:
    method = name.rpartition(".")[2]
    metric = metric_of(method, about)
    for index, axes in enumerate(_points(about.get("param_names", []), columns["params"] or [])):
        point = ",".join(f"{axis}={_shown(value)}" for axis, value in axes.items())
        place = f"{_group(name, about)}({point})"
        cell = cells.setdefault(place, _Cell(id=place, axes=axes))
        cell.id = _at(about.get("cell_ids"), index) or cell.id
        value = _at(columns["result"], index)
        samples = tuple(map(float, _at(columns["samples"], index) or ()))
        cell.versions[name] = columns["version"]
        cell.add(method, metric, None if value is None else float(value), samples)


def _group(name: str, about: Mapping[str, Any]) -> str:
    """What runs together: a common set-up, by its name without the line number, else a class."""
    shared = about.get("setup_cache_key")
    if shared:
        return str(shared).partition(":")[0].replace("\\", "/")
    owner = name.rpartition(".")[0]
    # A function belongs to no class: the cell has its own name.
    return owner if owner.rpartition(".")[2][:1].isupper() else name


def _points(names: Sequence[str], params: Sequence[Sequence[str]]) -> Iterator[dict[str, object]]:
    """All points, in the order in which asv flattens them. Values are `repr()` strings."""
    if len(names) != len(params):
        names = [f"param{index}" for index in range(len(params))]
    for values in itertools.product(*params):
        yield {name: _literal(value) for name, value in zip(names, values, strict=True)}


def _literal(text: str) -> object:
    """The value of a `repr()` string; `"all"` leaves a resource alone, as in a grid."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return None if value == ALL else value


def _shown(value: object) -> str:
    return ALL if value is None else str(value)


def _at(values: Any, index: int) -> Any:
    """One entry of a flattened list; asv writes null for a list that holds nothing but nulls."""
    return values[index] if values is not None and index < len(values) else None


def metric_of(method: str, about: Mapping[str, Any]) -> Metric:
    """Return what a benchmark measures: the registry's metric of that name, else one by its attributes."""
    name = str(
        about.get("metric") or next((method[len(p) :] for p in _PREFIXES if method.startswith(p)), method)
    )
    if name in METRICS:
        return METRICS[name]
    is_timing = about.get("type") in _TIMING_TYPES
    kind = about.get("kind", HOST if is_timing else UNREGISTERED)
    return Metric(
        name=name,
        unit=str(about.get("unit", "")),
        kind=kind if kind in KINDS else UNREGISTERED,
        # asv itself reads lower as better.
        better=str(about.get("better") or (HIGHER if about.get("higher_is_better") else LOWER)),
        smallest_effect=float(about.get("smallest_effect", _NOISY_EFFECT if kind == HOST else 0.0)),
        meaning=f"asv benchmark {about.get('name', method)}.",
    )


def _run(cell: _Cell, document: Mapping[str, Any], folder: Path, path: Path) -> Run:
    commit = str(document["commit_hash"])
    outcome, reason = cell.outcome()
    return Run(
        target=commit[:_COMMIT_LENGTH],
        suite=ASV,
        session=str(folder),
        cell=cell.id,
        outcome=outcome,
        commit=commit,
        committed=datetime.fromtimestamp(document["date"] / 1000, UTC),
        machine=str(document["params"]["machine"]),
        axes=cell.axes,
        readings=tuple(cell.values.values()),
        reason=reason,
        decision_digest=cell.digest,
        provenance={
            "harness_schema": f"asv/{ASV_FORMAT}",
            "workload_digest": ",".join(f"{name}:{cell.versions[name]}" for name in sorted(cell.versions)),
            "environment": document.get("env_name"),
            "python_version": document.get("python"),
            "requirements": document.get("requirements"),
            "file": path.name,
        },
    )
