"""Checks on single fields of a trace line; each raises `WorkloadError` naming field and value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction

from exhausters.errors import WorkloadError
from exhausters.workloads.request import SECONDS_MAX, require_int

#: Longest prompt or output a line may claim, in tokens: beyond any model, and a typo should not
#: fill the memory.
TRACE_TOKENS_MAX = 1 << 24
# No exponents: 1e999999999 would fill the memory.
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,18})?(/\d{1,9})?", re.ASCII)


def parse_object(text: str) -> dict[str, object]:
    """A line that must be one JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WorkloadError(f"line={short(repr(text))}: must be one whole JSON object ({error})") from None
    if not isinstance(value, dict):
        raise WorkloadError(f"line={short(repr(text))}: must be a JSON object, not {type(value).__name__}")
    return value


def get_field(fields: Mapping[str, object], name: str, *, where: str = "") -> object:
    """A field that must be there; `where` is the path to the object, for the message."""
    if name not in fields:
        present = ", ".join(fields) or "none"
        raise WorkloadError(f"{where}{name}: is missing; must be there beside: {short(present)}")
    return fields[name]


def require_tokens(name: str, value: object, *, minimum: int) -> int:
    """A length in tokens between `minimum` and `TRACE_TOKENS_MAX`."""
    tokens = require_int(name, value, minimum=minimum)
    if tokens > TRACE_TOKENS_MAX:
        raise WorkloadError(f"{name}={tokens}: must be <= {TRACE_TOKENS_MAX} tokens")
    return tokens


def require_time(name: str, value: object, *, per_second: int) -> Fraction:
    """A finite time >= 0 in units of 1 / `per_second` s, as seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WorkloadError(f"{name}={value!r}: must be a number, not {type(value).__name__}")
    if not 0 <= value <= SECONDS_MAX * per_second:  # false for NaN too
        raise WorkloadError(f"{name}={short(repr(value))}: must be finite and >= 0")
    return Fraction(value) / per_second


def exact_fraction(name: str, value: object) -> Fraction:
    """A number as the decimal it prints as: 0.1 is 1/10, not the nearest binary fraction."""
    try:
        if isinstance(value, Fraction) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
            return Fraction(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return Fraction(repr(value))
    except (ValueError, ZeroDivisionError):
        pass
    raise WorkloadError(f"{name}={value!r}: must be a finite number or a fraction such as 1/32")


def short(text: str) -> str:
    """`text` in at most 80 characters, for messages."""
    return text if len(text) <= 80 else f"{text[:77]}..."
