"""A run's step records as one log: its digest, its file, and the first divergence of two logs."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from exhausters.errors import LogFormatError
from exhausters.observe.step_record import StepRecord

# Raise when the meaning or the form of a line changes; files of other versions are refused.
FORMAT_VERSION = 1
_FORMAT_NAME = "exhausters-decision-log"

_FIELDS = tuple(field.name for field in fields(StepRecord))
_RID_FIELDS = (
    "rids",
    "retracted_rids",
    "dropped_rids",
    "preempted_rids",
    "arrived_rids",
    "failed_transfer_rids",
)
_DEFAULTS = {field.name: field.default for field in fields(StepRecord)}
# Fields that joined later: left out as long as they have their default, so that what an engine without a
# second tier, pools of states, adapters or drafts, and in no pair, decides has the digest it always had.
_JOINED_LATER = (
    "host_free_tokens",
    "host_cached_tokens",
    "host_held_tokens",
    "backed_up_tokens",
    "loaded_back_tokens",
    "host_evicted_tokens",
    "load_back_wait_ns",
    "backup_wait_ns",
    "window_held_tokens",
    "mamba_free_slots",
    "mamba_evictable_slots",
    "mamba_protected_slots",
    "mamba_held_slots",
    "mamba_in_use_slots",
    "mamba_evicted_slots",
    "batch_adapters",
    "adapter_loads",
    "held_lora_slots",
    "compiling",
    "preempted_rids",
    "preempted_tokens",
    "session_tokens",
    "session_rows",
    "role",
    "bootstrapping",
    "preallocating",
    "transferring",
    "transfer_tokens",
    "free_prealloc_slots",
    "held_prealloc_slots",
    "arrived_rids",
    "arrived_tokens",
    "failed_transfer_rids",
    "emitted_tokens",
    "draft_kv_taken_tokens",
    "draft_kv_returned_tokens",
    "draft_reserved_tokens",
)


@dataclass(frozen=True, slots=True)
class DecisionLog:
    """The step records of one run, in order."""

    steps: tuple[StepRecord, ...]

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[StepRecord]:
        return iter(self.steps)

    @property
    def digest(self) -> str:
        """SHA-256 over all lines, in hexadecimal: equal if and only if every decision is equal."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    def to_text(self) -> str:
        """One JSON line per step, after a header line.

        Requests are numbered in order of first appearance; a field that equals the step before is left
        out (`step` always follows from the line number), which keeps long decode phases to a few bytes.
        """
        names: dict[str, int] = {}
        out = io.StringIO()
        before: dict[str, object] = {name: _packed(_DEFAULTS[name]) for name in _JOINED_LATER}
        for record in self.steps:
            values = _encode(record, names)
            line = {name: value for name, value in values.items() if before.get(name, _MISSING) != value}
            out.write(json.dumps(line, separators=(",", ":")) + "\n")
            before = values
        header = {
            "format": _FORMAT_NAME,
            "version": FORMAT_VERSION,
            "steps": len(self.steps),
            "rids": list(names),
        }
        return json.dumps(header, separators=(",", ":")) + "\n" + out.getvalue()

    @classmethod
    def from_text(cls, text: str) -> DecisionLog:
        """Read back what `to_text` wrote; raises LogFormatError for anything else."""
        lines = text.splitlines()
        header = _read_header(lines[0] if lines else "")
        if len(lines) - 1 != header["steps"]:
            raise LogFormatError(
                f"the log holds {len(lines) - 1} steps of {header['steps']}: it was cut off; write it again"
            )
        steps: list[StepRecord] = []
        before: dict[str, Any] = {}
        for number, line in enumerate(lines[1:]):
            try:
                before = {**before, **json.loads(line)}
                steps.append(_decode(number, before, header["rids"]))
            except (ValueError, TypeError, IndexError) as error:
                raise LogFormatError(f"step {number} of the log is broken: {error}") from error
        return cls(tuple(steps))

    def write(self, path: Path) -> None:
        """Write the log, gzip-compressed; equal logs give byte-identical files."""
        with path.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
            packed.write(self.to_text().encode())

    @classmethod
    def read(cls, path: Path) -> DecisionLog:
        """Read a file that `write` wrote.

        Raises:
            LogFormatError: the file is no decision log, is cut off, or has another format version.
        """
        try:
            return cls.from_text(gzip.decompress(path.read_bytes()).decode())
        except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
            raise LogFormatError(f"{path}: not a complete decision log: {error}") from error


_MISSING = object()


def _encode(record: StepRecord, names: dict[str, int]) -> dict[str, object]:
    values: dict[str, object] = {}
    for name in _FIELDS[1:]:  # without `step`
        value = getattr(record, name)
        if name in _RID_FIELDS:
            value = [names.setdefault(rid, len(names)) for rid in value]
        elif name == "chunked_rid":
            value = None if value is None else names.setdefault(value, len(names))
        elif isinstance(value, tuple):
            value = _pack(value)
        values[name] = value
    return values


def _packed(default: object) -> object:
    """A default as `_encode` gives it."""
    return list(default) if isinstance(default, tuple) else default


def _pack(numbers: tuple[int, ...]) -> list[int] | list[list[int]]:
    """A run of equal numbers, such as the tokens of a decode batch, as one [value, count] pair."""
    if len(numbers) > 2 and len(set(numbers)) == 1:
        return [[numbers[0], len(numbers)]]
    return list(numbers)


def _unpack(packed: list[Any]) -> tuple[int, ...]:
    if len(packed) == 1 and isinstance(packed[0], list):
        value, count = packed[0]
        return (int(value),) * int(count)
    return tuple(packed)


def _decode(number: int, values: dict[str, Any], rids: list[str]) -> StepRecord:
    decoded: dict[str, Any] = {"step": number}
    for name, value in values.items():
        if name not in _DEFAULTS:
            raise LogFormatError(
                f"step {number} has a field {name!r} that version {FORMAT_VERSION} does not have"
            )
        if name in _RID_FIELDS:
            decoded[name] = tuple(rids[index] for index in value)
        elif name == "chunked_rid":
            decoded[name] = None if value is None else rids[value]
        elif isinstance(value, list):
            decoded[name] = _unpack(value)
        else:
            decoded[name] = value
    return StepRecord(**decoded)


def _read_header(line: str) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except json.JSONDecodeError as error:
        raise LogFormatError(f"not a decision log: the first line is not JSON ({error})") from error
    if not isinstance(header, dict) or header.get("format") != _FORMAT_NAME:
        raise LogFormatError(f"not a decision log: expected a header with format {_FORMAT_NAME!r}")
    if header.get("version") != FORMAT_VERSION:
        raise LogFormatError(
            f"decision log of format version {header.get('version')}, this is version {FORMAT_VERSION}: "
            "read it with the harness that wrote it, or sweep again"
        )
    if not isinstance(header.get("steps"), int) or not isinstance(header.get("rids"), list):
        raise LogFormatError("not a decision log: the header has no number of steps or no request ids")
    return header


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first step at which two logs differ.

    Attributes:
        step: its number.
        field_names: fields that differ there; empty when one log simply ends.
        base, head: the records of both sides around it, `context` steps before and after.
    """

    step: int
    field_names: tuple[str, ...]
    base: tuple[StepRecord, ...]
    head: tuple[StepRecord, ...]


def first_divergence(base: DecisionLog, head: DecisionLog, *, context: int = 3) -> Divergence | None:
    """Return the first step at which two logs differ, or None when they are equal."""
    shared = min(len(base), len(head))
    step = next((i for i in range(shared) if base.steps[i] != head.steps[i]), shared)
    if step == shared and len(base) == len(head):
        return None
    names: tuple[str, ...] = ()
    if step < shared:
        ours, theirs = base.steps[step], head.steps[step]
        names = tuple(name for name in _FIELDS if getattr(ours, name) != getattr(theirs, name))
    return Divergence(
        step=step,
        field_names=names,
        base=_around(base.steps, step, context),
        head=_around(head.steps, step, context),
    )


def _around(steps: Sequence[StepRecord], step: int, context: int) -> tuple[StepRecord, ...]:
    return tuple(steps[max(0, step - context) : step + context + 1])
