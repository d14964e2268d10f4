"""Load folders that `exhausters sweep` or a paired host-time run wrote (see docs/verdicts.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exhausters.errors import StoreError
from exhausters.sweep.free_axes import is_free_axis
from exhausters.sweep.record import OUTCOMES, SCHEMA_VERSION
from exhausters.sweep.record_files import HEADER_NAME, RECORDS_NAME, record_lines, upgraded_header
from reports.errors import DuplicateRunError, ForeignFileError, SchemaVersionError
from reports.load.frame import axis_types
from reports.load.json_file import parse_object, read_object, read_text, utc_date
from reports.load.measurements import Reading, Run, Session, metric_named
from reports.vocabulary import SWEEP

ORDERS = ("AB", "BA")


def is_sweep(path: Path) -> bool:
    """Return whether a folder was written by a sweep."""
    return (path / HEADER_NAME).is_file()


def load_sweep(folder: Path) -> tuple[Session, list[Run]]:
    """Return the session and the runs of one folder.

    Raises:
        TruncatedFileError: a line ends in the middle of a value; the last one only where the header says
            that the records are complete.
        SchemaVersionError: the header, or a line, has another schema than this harness, or a newer format.
        ForeignFileError: something in it is not what a sweep writes.
        DuplicateRunError: a cell is there twice for one target and round.
    """
    header = read_object(folder / HEADER_NAME)
    _require_schema(header, folder / HEADER_NAME)
    try:
        header = upgraded_header(header, folder / HEADER_NAME)
    except StoreError as error:
        raise SchemaVersionError(str(error)) from error
    session = Session(
        name=str(folder),
        suite=SWEEP,
        expected_cells=header.get("cells"),
        grid=_text(header.get("grid")),
        expected_runs=_runs_per_build(header),
        complete=bool(header.get("complete", False)),
    )
    runs: list[Run] = []
    seen: dict[tuple[object, ...], int] = {}
    lines = record_lines(read_text(folder / RECORDS_NAME), header)
    for number, line in enumerate(lines, start=1):
        place = f"{folder / RECORDS_NAME}:{number}"
        run = run_of_record(parse_object(line, place=place), _Source(folder, header, place))
        key = (run.target, run.cell, run.round)
        if key in seen:
            which = "" if run.round is None else f" in round {run.round}"
            raise DuplicateRunError(
                f"{place}: cell {run.cell!r} of {run.target} was already in line {seen[key]}{which}: "
                "keep one of them, or number the rounds"
            )
        seen[key] = number
        runs.append(run)
    return session, runs


@dataclass(frozen=True, slots=True)
class _Source:
    folder: Path
    header: Mapping[str, Any]
    place: str


def run_of_record(record: Mapping[str, Any], source: _Source) -> Run:
    """Return one line of `records.jsonl` as a run; raises SchemaVersionError or ForeignFileError."""
    _require_schema(record, source.place)
    try:
        target = str(record["target"])
        about = _about(target, source.header)
        return Run(
            target=target,
            suite=SWEEP,
            session=str(source.folder),
            cell=str(record["cell"]),
            outcome=_one_of(record, "outcome", OUTCOMES, source.place),
            version=about.get("version"),
            commit=about.get("commit"),
            committed=utc_date(about.get("date")),
            measured=utc_date(source.header.get("started")),
            machine=_text(record.get("machine") or source.header.get("machine")),
            axes=_axes(record, source.place),
            readings=_readings(record),
            reason=str(record.get("reason", "")),
            round=record.get("round"),
            order=_one_of(record, "order", ORDERS, source.place) if record.get("order") else None,
            boot=record.get("boot"),
            decision_digest=record.get("decision_digest"),
            log_path=str(source.folder / record["log"]) if record.get("log") else None,
            provenance={
                **record.get("provenance", {}),
                "harness_schema": record["schema"],
                "harness_version": source.header.get("harness_version"),
                "grid_digest": source.header.get("grid_digest"),
                "dirty": about.get("dirty"),
                "subject": about.get("subject"),
                "started": source.header.get("started"),
            },
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ForeignFileError(
            f"{source.place}: not a record of a sweep ({type(error).__name__}: {error})"
        ) from error


def _require_schema(document: Mapping[str, Any], place: object) -> None:
    if document.get("schema") != SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{place}: schema {document.get('schema')!r}, this harness reads {SCHEMA_VERSION}: "
            "sweep again, or read it with the harness that wrote it"
        )


def _runs_per_build(header: Mapping[str, Any]) -> int | None:
    """Records of each build that a complete folder of pairs holds."""
    runs, both = header.get("runs"), header.get("targets")
    return runs // len(both) if isinstance(runs, int) and isinstance(both, Mapping) and both else None


def _about(target: str, header: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the header says about a target; the header of a paired run has a table of both."""
    both = header.get("targets")
    if isinstance(both, Mapping):
        return dict(both[target])
    return {name: header.get(f"target_{name}") for name in ("version", "commit", "subject", "date", "dirty")}


def _axes(record: Mapping[str, Any], place: str) -> dict[str, object]:
    axes = {"workload": record["workload"], **record["levels"], **record["engine"]}
    unknown = sorted(name for name in set(axes) - set(axis_types()) if not is_free_axis(name))
    if unknown:
        raise SchemaVersionError(
            f"{place}: unknown axes {', '.join(unknown)}; read it with the harness that wrote it"
        )
    return axes


def _readings(record: Mapping[str, Any]) -> tuple[Reading, ...]:
    samples = record.get("samples") or {}
    values = dict(record["metrics"])
    readings = []
    for name in [*values, *(name for name in samples if name not in values)]:
        measured = tuple(float(sample) for sample in samples.get(name, ()))
        value = values.get(name)
        if value is None and measured:
            value = median(measured)
        readings.append(Reading(metric=metric_named(name), value=value, samples=measured))
    return tuple(readings)


def median(values: tuple[float, ...]) -> float:
    """Return the median: what stands for the samples of one process, which are not independent."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _one_of(record: Mapping[str, Any], key: str, allowed: tuple[str, ...], place: str) -> str:
    value = record[key]
    if value not in allowed:
        raise ForeignFileError(f"{place}: {key}={value!r}: expected one of {', '.join(allowed)}")
    return str(value)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
