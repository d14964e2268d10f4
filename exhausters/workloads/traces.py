"""What all trace readers share: lines with their numbers, scaling, and the way to a workload.

A reader turns a line into a `TraceRow`; this file does the rest. Reading is by line and stops at
`max_requests`: a trace of any size can be sampled from its start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from exhausters.errors import WorkloadError
from exhausters.workloads.request import SECONDS_MAX, Request, Segment, require_int
from exhausters.workloads.trace_fields import exact_fraction, short
from exhausters.workloads.workload import Workload

#: Folder of public traces, see docs/workloads.md.
TRACES_VARIABLE = "EXHAUSTERS_TRACES"
#: The prefix of a path in that folder.
TRACES_PREFIX = "$TRACES/"


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceOptions:
    """How to read a trace.

    Args:
        scale: lengths are multiplied by it and rounded up, to at least 1 token; in (0, 1]. Floats
            are taken as the decimal they print as, text as a fraction ("1/32").
        max_requests: stop after this many requests (warm-up not counted); None reads all.
        time_stretch: arrival times are multiplied by it; 2 halves the load, 0 sends all at once.
        skip_bad_lines: leave out lines that make no sense, and count them, instead of raising.
        warmup_requests: this many requests at the start become the workload's warm-up.

    Raises:
        WorkloadError: an option of the wrong type or range.
    """

    scale: Fraction | float | str = 1
    max_requests: int | None = None
    time_stretch: float = 1.0
    skip_bad_lines: bool = False
    warmup_requests: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", exact_fraction("scale", self.scale))
        if not 0 < self.exact_scale <= 1:
            raise WorkloadError(f"scale={self.scale}: must be in (0, 1]; 1/16 and 1/32 suit a CPU")
        if not 0 <= exact_fraction("time_stretch", self.time_stretch) <= SECONDS_MAX:
            raise WorkloadError(f"time_stretch={self.time_stretch}: must be >= 0")
        if self.max_requests is not None:
            require_int("max_requests", self.max_requests, minimum=1)
        require_int("warmup_requests", self.warmup_requests, minimum=0)
        if not isinstance(self.skip_bad_lines, bool):
            raise WorkloadError(f"skip_bad_lines={self.skip_bad_lines!r}: must be True or False")

    @property
    def exact_scale(self) -> Fraction:
        """`scale` as a fraction."""
        return Fraction(self.scale)

    def require_whole_blocks(self, block_tokens: int) -> None:
        """Raise `WorkloadError` unless a block of `block_tokens` scales to a whole number of tokens.

        Rounding each block would change the ratio between lengths of few and of many blocks.
        """
        scaled = self.exact_scale * block_tokens
        if scaled.denominator != 1:
            nearest = Fraction(max(1, round(scaled)), block_tokens)
            raise WorkloadError(
                f"scale={self.scale}: {block_tokens} * scale, the scaled block, must be a whole number "
                f"of tokens; try {nearest}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceRow:
    """One request as a trace states it, before scaling.

    Attributes:
        line: line number in the file, from 1.
        seconds: when it arrived, on the trace's own clock.
        prompt: (seed, tokens) of each run of the prompt; equal seeds are equal content.
        output_tokens: tokens generated, >= 0.
        priority: as `Request.priority`.
    """

    line: int
    seconds: Fraction
    prompt: tuple[tuple[int, int], ...]
    output_tokens: int
    priority: int | None = None


#: Turns (line number, text without its end) into a row, or None for a line without a
#: request; raises `WorkloadError` naming the field.
ParseLine = Callable[[int, str], TraceRow | None]
#: Takes the first line; raises `WorkloadError`, and is never skipped, if it is not the expected header.
ParseHeader = Callable[[str], None]


@dataclass(kw_only=True, slots=True)
class _Tally:
    rows: list[TraceRow] = field(default_factory=list)
    lines_read: int = 0
    other_lines: int = 0
    skipped_lines: int = 0
    first_skipped: str | None = None


def read_trace(
    path: str | os.PathLike[str],
    *,
    trace_format: str,
    parse: ParseLine,
    options: TraceOptions,
    time_field: str | None,
    header: ParseHeader | None = None,
) -> Workload:
    """Read a trace file with one format's `parse`.

    Args:
        header: takes the first line that is not blank, for formats that have one.
        time_field: name of the field that holds the arrival time, which must not go back; None for
            formats that promise no order, whose rows are sorted by arrival once read.

    Raises:
        WorkloadError: the file cannot be read, a line is malformed (names file, line and field)
            and `skip_bad_lines` is off, or too few requests are left.
    """
    file = resolve_trace_path(path)
    lines = _numbered_lines(file)
    if header is not None:
        _read_header(file, lines, header)
    tally = _collect(file, lines, parse, options, time_field)
    if time_field is None:
        tally.rows.sort(key=lambda row: (row.seconds, row.line))
    if len(tally.rows) <= options.warmup_requests:
        raise WorkloadError(
            f"{file}: {len(tally.rows)} requests found: must be more than warmup_requests="
            f"{options.warmup_requests}; give a {trace_format} trace that holds requests "
            f"({tally.lines_read} lines read, {tally.skipped_lines} skipped)"
        )
    return _workload(file, trace_format, tally, options)


def resolve_trace_path(path: str | os.PathLike[str]) -> Path:
    """Return the file that `path` names; `$TRACES/…` is in the folder given by EXHAUSTERS_TRACES.

    A workload named that way has the same text, and so its cells the same ids, on every machine.

    Raises:
        WorkloadError: `$TRACES/…`, and EXHAUSTERS_TRACES is not set.
    """
    text = os.fspath(path)
    if not text.startswith(TRACES_PREFIX):
        return Path(text)
    folder = os.environ.get(TRACES_VARIABLE)
    if not folder:
        raise WorkloadError(f"{text}: set {TRACES_VARIABLE} to the folder that holds the trace")
    return Path(folder) / text.removeprefix(TRACES_PREFIX)


def _read_header(file: Path, lines: Iterator[tuple[int, bytes]], header: ParseHeader) -> None:
    for number, raw in lines:
        try:
            header(_decode(raw))
        except WorkloadError as error:
            raise WorkloadError(f"{file}, line {number}: {error}") from None
        return


def _collect(
    file: Path,
    lines: Iterator[tuple[int, bytes]],
    parse: ParseLine,
    options: TraceOptions,
    time_field: str | None,
) -> _Tally:
    wanted = None if options.max_requests is None else options.max_requests + options.warmup_requests
    tally = _Tally()
    for number, raw in lines:
        tally.lines_read += 1
        try:
            row = parse(number, _decode(raw))
            if row is not None and time_field is not None and tally.rows:
                _check_order(time_field, tally.rows[-1], row)
        except WorkloadError as error:
            message = f"{file}, line {number}: {error}"
            if not options.skip_bad_lines:
                raise WorkloadError(f"{message} (or set skip_bad_lines)") from None
            tally.skipped_lines += 1
            tally.first_skipped = tally.first_skipped or f"line {number}: {error}"
            continue
        if row is None:
            tally.other_lines += 1
            continue
        tally.rows.append(row)
        if len(tally.rows) == wanted:
            break
    return tally


def _check_order(time_field: str, before: TraceRow, row: TraceRow) -> None:
    if row.seconds < before.seconds:
        raise WorkloadError(
            f"{time_field}: is {float(before.seconds - row.seconds)} s before that of line {before.line}: "
            "must not go back; sort the trace by time"
        )


def _numbered_lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers from 1."""
    try:
        with file.open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                if raw.strip():
                    yield number, raw
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise WorkloadError(f"{file}: cannot be read ({problem}); give the path of a trace file") from None


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise WorkloadError(f"line={short(repr(raw))}: must be UTF-8 ({error.reason})") from None


def _workload(file: Path, trace_format: str, tally: _Tally, options: TraceOptions) -> Workload:
    rows, warm = tally.rows, options.warmup_requests
    start = rows[warm].seconds
    stretch = exact_fraction("time_stretch", options.time_stretch)
    requests = tuple(
        _request(row, trace_format, options.exact_scale, max(Fraction(0), (row.seconds - start) * stretch))
        for row in rows
    )
    return Workload(
        name=file.stem,
        requests=requests[warm:],
        warmup_requests=requests[:warm],
        description=f"{len(rows) - warm} requests of a {trace_format} trace, lengths times {options.scale}",
        source={
            "format": trace_format,
            "file": file.name,
            "scale": str(options.scale),
            "time_stretch": str(options.time_stretch),
            "lines_read": tally.lines_read,
            "other_lines": tally.other_lines,
            "skipped_lines": tally.skipped_lines,
            "first_skipped": tally.first_skipped,
        },
    )


def _request(row: TraceRow, trace_format: str, scale: Fraction, seconds: Fraction) -> Request:
    return Request(
        rid=f"{trace_format}-{row.line}",
        arrival_seconds=float(seconds),
        prompt=tuple(Segment(seed=seed, length=_scaled(tokens, scale)) for seed, tokens in row.prompt),
        max_new_tokens=max(1, _scaled(row.output_tokens, scale)),
        priority=row.priority,
    )


def _scaled(tokens: int, scale: Fraction) -> int:
    return -(-tokens * scale.numerator // scale.denominator)
