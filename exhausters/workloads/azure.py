"""Azure LLM inference traces: CSV with times and lengths, nothing about content.

    TIMESTAMP,ContextTokens,GeneratedTokens
    2023-11-16 18:17:03.9799600,4808,10

TIMESTAMP has up to seven digits of a second; the traces of 2024 add a zone ("+00:00"). Prompts
are assumed to share nothing: these traces do not say what they share.

Source: https://github.com/Azure/AzurePublicDataset, data/AzureLLMInferenceTrace_code.csv and
_conv.csv, CC-BY 4.0; described in Patel et al., "Splitwise", ISCA 2024.
"""

from __future__ import annotations

import csv
import os
import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from exhausters.errors import WorkloadError
from exhausters.workloads.trace_fields import require_tokens
from exhausters.workloads.traces import TraceOptions, TraceRow, read_trace
from exhausters.workloads.workload import Workload

_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# datetime keeps six digits of a second only, so the fraction is read on its own.
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DIGITS = re.compile(r"-?\d{1,18}", re.ASCII)


def read_azure(
    path: str | os.PathLike[str],
    *,
    scale: Fraction | float | str = 1,
    max_requests: int | None = None,
    time_stretch: float = 1.0,
    skip_bad_lines: bool = False,
    warmup_requests: int = 0,
) -> Workload:
    """Read an Azure trace; options as in `TraceOptions`.

    Raises:
        WorkloadError: names file, line number and field. A wrong header is never skipped.
    """
    options = TraceOptions(
        scale=scale,
        max_requests=max_requests,
        time_stretch=time_stretch,
        skip_bad_lines=skip_bad_lines,
        warmup_requests=warmup_requests,
    )
    table = _Table()
    return read_trace(
        path,
        trace_format="azure",
        parse=table.parse,
        header=table.header,
        options=options,
        time_field="TIMESTAMP",
    )


class _Table:
    """Remembers the header, which may list the columns in any order."""

    def __init__(self) -> None:
        self._columns: list[str] = []

    def header(self, text: str) -> None:
        self._columns = _columns(_values(text))

    def parse(self, line: int, text: str) -> TraceRow:
        values = _values(text)
        if len(values) != len(self._columns):
            raise WorkloadError(
                f"line={text[:80]!r}: must have {len(self._columns)} columns ({','.join(self._columns)}), "
                f"not {len(values)}"
            )
        row = dict(zip(self._columns, values, strict=True))
        return TraceRow(
            line=line,
            seconds=_seconds(row["TIMESTAMP"]),
            # The line number as a seed: a first token of its own for each prompt.
            prompt=((line, _tokens(row, "ContextTokens", minimum=1)),),
            output_tokens=_tokens(row, "GeneratedTokens", minimum=0),
        )


def _values(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise WorkloadError(f"line={text[:80]!r}: must be one CSV row ({error})") from None


def _columns(names: list[str]) -> list[str]:
    missing = [name for name in _COLUMNS if name not in names]
    unknown = [name for name in names if name not in _COLUMNS]
    if missing or unknown or len(names) != len(_COLUMNS):
        odd = f"column {(unknown or missing or names)[0]!r}"
        problem = "is unknown" if unknown else "is missing" if missing else "or another one is given twice"
        raise WorkloadError(f"{odd}: {problem}; the header must be {','.join(_COLUMNS)}")
    return names


def _tokens(row: dict[str, str], name: str, *, minimum: int) -> int:
    text = row[name].strip()
    if not _DIGITS.fullmatch(text):
        raise WorkloadError(f"{name}={text!r}: must be a whole number of tokens")
    return require_tokens(name, int(text), minimum=minimum)


def _seconds(text: str) -> Fraction:
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        raise WorkloadError(f"TIMESTAMP={text!r}: must look like 2023-11-16 18:17:03.9799600")
    whole, digits, zone = match.groups()
    try:
        moment = datetime.fromisoformat(whole + (zone or "+00:00").replace("Z", "+00:00"))
    except ValueError as error:
        raise WorkloadError(f"TIMESTAMP={text!r}: {error}") from None
    return Fraction((moment - _EPOCH) // timedelta(seconds=1)) + Fraction(
        int(digits or 0), 10 ** len(digits or "")
    )
