"""A folder of records, read back into the objects that were written."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exhausters.errors import LogFormatError, StoreError
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.executed_source import ExecutedSource
from exhausters.observe.run_facts import RunFacts
from exhausters.sweep.record import RunRecord
from exhausters.sweep.record_files import HEADER_NAME, RECORDS_NAME, record_lines, upgraded_header


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecords:
    """What a folder holds.

    Attributes:
        folder: where it is.
        header: what `sweep.json` says, in the form of this harness's format.
        records: the runs, logs and facts included, in the order of the file.
    """

    folder: Path
    header: dict[str, Any]
    records: tuple[RunRecord, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every run that was planned has its record."""
        return self.header.get("complete") is True


def read_records(folder: Path) -> StoredRecords:
    """Read the folder of a sweep or of pairs, complete or not, of this format or an older one.

    Raises:
        StoreError: no records, another schema version or a newer format, a broken line, a missing or broken
            log; names the place.
    """
    header, lines = read_lines(folder)
    records = tuple(
        read_record(folder, line, place=f"{folder / RECORDS_NAME}:{number}")
        for number, line in enumerate(lines, start=1)
    )
    return StoredRecords(folder=folder, header=header, records=records)


def read_lines(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the header of a folder, and its records as they are written, as `record_lines` does.

    Raises:
        StoreError: no records, another schema version, or a newer format.
    """
    try:
        header = json.loads((folder / HEADER_NAME).read_text())
        text = (folder / RECORDS_NAME).read_text()
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder}: holds no readable sweep ({error})") from error
    if not isinstance(header, dict):
        raise StoreError(f"{folder}: holds no readable sweep ({HEADER_NAME} is no table)")
    return upgraded_header(header, folder), record_lines(text, header)


def read_record(folder: Path, line: str, *, place: str) -> RunRecord:
    """Return the record that a line and the files it names make; raises StoreError naming the place."""
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise StoreError(f"{place}: broken line ({error})") from error
    try:
        if not values.get("log"):  # as pairs were once stored
            raise StoreError("the record has no decision log; run it again")
        log = _log(folder / values["log"], digest=str(values.get("decision_digest")))
        # Absent of an engine of one rank.
        ranks = zip(values.get("rank_logs", ()), values.get("rank_digests", ()), strict=True)
        rank_logs = tuple(_log(folder / name, digest=digest) for name, digest in ranks)
        # Absent in older records, None where a run failed before its first step.
        facts = RunFacts.read(folder / values["facts"]) if values.get("facts") else None
        # Absent unless the run recorded its lines.
        executed = ExecutedSource.read(folder / values["executed"]) if values.get("executed") else None
        return RunRecord.from_json(values, log=log, facts=facts, executed=executed, rank_logs=rank_logs)
    except (OSError, ValueError, AttributeError, TypeError, LogFormatError, StoreError) as error:
        raise StoreError(f"{place}: {error}") from error


def _log(path: Path, *, digest: str) -> DecisionLog:
    """Read a log that has this digest.

    It is that of the text in the file: step records have gained fields since the older logs were written,
    so that those would not have the same digest if they were written again.
    """
    try:
        text = gzip.decompress(path.read_bytes())
    except (EOFError, OSError, zlib.error) as error:
        raise StoreError(f"{path}: not a complete decision log: {error}") from error
    found = hashlib.sha256(text).hexdigest()
    if found != digest:
        raise StoreError(f"{path}: the log has digest {found[:16]}, the record {digest[:16]}")
    return DecisionLog.from_text(text.decode())
