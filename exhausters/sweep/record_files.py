"""Names and forms of the files in a folder of records, and who may write there.

| format | what it has |
|---|---|
| 1 | no `format`; the oldest have no `kind`, `runs` and `machine` either, and their lines no `facts` |
| 2 | `format`, and `asked`: what the records depend on, so that a sweep can go on where it stopped |

`SCHEMA_VERSION` is another number: what the fields of a record mean. Results of two schemas are not compared.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from exhausters.errors import StoreError, UsageError
from exhausters.results_folder import LOCK_NAME, SCRATCH, replace_text
from exhausters.sweep.record import SCHEMA_VERSION

HEADER_NAME, RECORDS_NAME, LOGS_NAME = "sweep.json", "records.jsonl", "logs"
SWEEP, PAIRS = "sweep", "pairs"
LOG_ENDING, FACTS_ENDING, LINES_ENDING = ".log.gz", ".facts.json.gz", ".lines.json.gz"
_ENDINGS = (LOG_ENDING, FACTS_ENDING, LINES_ENDING)

# Raise when the files of a folder change their form, and teach `upgraded_header` the one before.
FORMAT_VERSION = 2

_WORDS = {SWEEP: "records of a sweep", PAIRS: "records of pairs"}


def upgraded_header(header: Mapping[str, Any], place: object) -> dict[str, Any]:
    """Return what a `sweep.json` of this format or an older one says, in the form of this one.

    Raises:
        StoreError: it is of a newer format, or of another schema; names `place`.
    """
    if header.get("schema") != SCHEMA_VERSION:
        raise StoreError(
            f"{place}: schema {header.get('schema')}, this harness reads {SCHEMA_VERSION}; sweep again"
        )
    found = header.get("format", 1)
    if not isinstance(found, int) or not 1 <= found <= FORMAT_VERSION:
        raise StoreError(
            f"{place}: format {found!r}, this harness reads 1 to {FORMAT_VERSION}: read it with the harness "
            f"that wrote it ({header.get('harness_version', 'unknown version')}), or a newer one"
        )
    values = dict(header)
    if found == 1:
        values.setdefault("kind", kind_of(header))
        if values["kind"] == SWEEP and "cells" in values:
            values.setdefault("runs", values["cells"])
        values["format"] = FORMAT_VERSION
    return values


def kind_of(header: Mapping[str, Any]) -> str:
    """Return which kind of records a header is of; older ones do not say."""
    return str(header.get("kind") or (PAIRS if "targets" in header else SWEEP))


def record_lines(text: str, header: Mapping[str, Any]) -> list[str]:
    """Return the lines of `records.jsonl`, without half a line that a power cut or a kill left at its end.

    In records that the header calls complete half a line is damage: it stays, for the reader to refuse.
    """
    whole, _, rest = text.rpartition("\n")
    return (text if not rest or header.get("complete") is True else whole).splitlines()


def refuse_others(folder: Path, kind: str) -> None:
    """Raise UsageError unless a folder is empty, missing, or holds earlier records of this kind.

    One in which they were begun only, as by a disk that was full, counts as empty.
    """
    header = folder / HEADER_NAME
    held = ""
    if header.exists():
        found = _stored_kind(header)
        if found == kind:
            return
        held = f"holds {_WORDS.get(found, f'a {HEADER_NAME} that cannot be read')}; "
    elif not folder.exists() or (folder.is_dir() and all(map(_is_of_a_beginning, folder.iterdir()))):
        return
    raise UsageError(
        f"--out {folder}: {held}expected an empty folder or earlier {_WORDS[kind]}; choose another"
    )


def mark_incomplete(folder: Path) -> None:
    """Let the header of earlier records, if there is one, say that they are not all; raises OSError."""
    header = folder / HEADER_NAME
    if header.exists():
        values = {**json.loads(header.read_text()), "complete": False}
        replace_text(header, json.dumps(values, indent=1) + "\n")


def delete_logs(folder: Path, *, but: Collection[object]) -> None:
    """Delete logs, facts and executed lines that are not among the names, half-written ones too.

    Raises:
        OSError: one cannot be deleted.
    """
    for path in (folder / LOGS_NAME).iterdir():
        is_ours = path.name.removesuffix(SCRATCH).endswith(_ENDINGS)
        if is_ours and f"{LOGS_NAME}/{path.name}" not in but:
            path.unlink()


@contextlib.contextmanager
def written(folder: Path) -> Iterator[None]:
    """Raise StoreError, naming the folder, where the disk refuses what is written."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written ({error.strerror or error}); what was written until now stays; "
            "make room, or choose another folder with --out"
        ) from error


def _is_of_a_beginning(path: Path) -> bool:
    """Whether it is what a command leaves that ended before it had written the header: nothing of worth."""
    if path.name == RECORDS_NAME:
        return path.is_file() and path.stat().st_size == 0
    if path.name == LOGS_NAME:
        return path.is_dir() and not any(path.iterdir())
    return path.name in (LOCK_NAME, HEADER_NAME + SCRATCH, RECORDS_NAME + SCRATCH)


def _stored_kind(header: Path) -> str:
    """Which kind of records a folder holds; empty when its header is none."""
    try:
        values = json.loads(header.read_text())
    except (OSError, ValueError):
        return ""
    return kind_of(values) if isinstance(values, dict) else ""
