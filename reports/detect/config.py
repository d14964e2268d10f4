"""Thresholds and waivers, and where commits are shown: one small TOML file.

    trade_off = "accept"               # a trade-off passes; by default ("fail") it does not
    repository = "https://github.com/sgl-project/sglang"   # where links to commits lead; "": no links

    [smallest_effect]                  # of an outcome or a cost, over a workload; and of any host time
    time_to_first_token_p99_seconds = 0.03

    [smallest_cell_effect]             # the same for one cell
    time_to_first_token_p99_seconds = 0.10

    [tolerance]                        # exact kinds: relative change up to which values are the same
    wait_steps_max = 0.02

    [[waivers]]
    metric = "retractions"             # a metric, "outcome", or "*"
    cells = ["retraction_storm/*"]     # ids, with * and ? as in a shell
    reason = "eviction order changed on purpose in #12345"
    expires = 2027-01-31               # the last day on which it holds

An expired waiver fails the gate, whether or not it would still cover something.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from reports.errors import ConfigError

# SGLang's own; a fork names its own in the configuration.
SGLANG_REPOSITORY: Final = "https://github.com/sgl-project/sglang"
_KEYS = {"trade_off", "repository", "smallest_effect", "smallest_cell_effect", "tolerance", "waivers"}
# A host and a path; no query, no spaces, no quotes, no user and no password.
_ADDRESS: Final = re.compile(r"https?://[\w.-]+(?::\d+)?(?:/[\w.~%+-]+)+")
_ACCEPT, _FAIL = "accept", "fail"
_WAIVER_KEYS = {"metric", "cells", "reason", "expires"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A loss that is accepted until a day.

    Attributes:
        metric: name of a metric, `outcome`, or `*` for all.
        cells: patterns of cell ids.
        reason: why it is accepted.
        expires: last day on which it holds.
    """

    metric: str
    cells: tuple[str, ...]
    reason: str
    expires: date

    def covers(self, metric: str, cell: str) -> bool:
        """Return whether this waiver covers a metric of a cell."""
        return self.metric in ("*", metric) and any(fnmatchcase(cell, pattern) for pattern in self.cells)

    def is_expired(self, today: date) -> bool:
        """Return whether its last day has passed."""
        return today > self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the file says; every part may be left out.

    Attributes:
        accepts_trade_offs: what matters in both directions passes.
        smallest_effect: by metric, in place of the registry's for a workload, and of any host time.
        smallest_cell_effect: the same for one cell.
        tolerance: relative changes by metric, in place of equality; for exact kinds.
        waivers: accepted losses.
        repository: web address of the repository whose commits were measured, without a slash at the end;
            empty for no links.
    """

    accepts_trade_offs: bool = False
    smallest_effect: Mapping[str, float] = field(default_factory=dict)
    smallest_cell_effect: Mapping[str, float] = field(default_factory=dict)
    tolerance: Mapping[str, float] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    repository: str = SGLANG_REPOSITORY


def load_config(path: Path) -> Config:
    """Return the configuration in a TOML file; raises ConfigError naming the key."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    unknown = sorted(set(document) - _KEYS)
    if unknown:
        raise ConfigError(f"{path}: unknown {', '.join(unknown)}; expected {', '.join(sorted(_KEYS))}")
    waivers = document.get("waivers", [])
    if not isinstance(waivers, list):
        raise ConfigError(f"{path}: waivers={waivers!r}: expected tables [[waivers]]")
    trade_off = document.get("trade_off", _FAIL)
    if trade_off not in (_ACCEPT, _FAIL):
        raise ConfigError(f"{path}: trade_off={trade_off!r}: expected {_ACCEPT!r} or {_FAIL!r}")
    return Config(
        accepts_trade_offs=trade_off == _ACCEPT,
        smallest_cell_effect=_fractions(document, "smallest_cell_effect", path),
        smallest_effect=_fractions(document, "smallest_effect", path),
        tolerance=_fractions(document, "tolerance", path),
        waivers=tuple(_waiver(one, f"{path}: waiver {n}") for n, one in enumerate(waivers, start=1)),
        repository=checked_repository(document.get("repository", SGLANG_REPOSITORY), f"{path}: repository"),
    )


def checked_repository(address: object, place: str) -> str:
    """Return the web address of a repository without a slash at the end; empty for none.

    Raises:
        ConfigError: not an address; the message starts with `place`.
    """
    found = address.rstrip("/") if isinstance(address, str) else address
    if found == "" or (isinstance(found, str) and _ADDRESS.fullmatch(found)):
        return str(found)
    raise ConfigError(
        f"{place}={address!r}: expected a web address such as {SGLANG_REPOSITORY}, or '' for no links"
    )


def _fractions(document: Mapping[str, Any], key: str, path: Path) -> dict[str, float]:
    table = document.get(key, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{path}: {key}={table!r}: expected a table [{key}]")
    for metric, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise ConfigError(f"{path}: {key}.{metric}={value!r}: expected a fraction, 0 <= x < 1")
    return {metric: float(value) for metric, value in table.items()}


def _waiver(table: object, place: str) -> Waiver:
    if not isinstance(table, Mapping) or set(table) != _WAIVER_KEYS:
        found = sorted(table) if isinstance(table, Mapping) else table
        raise ConfigError(f"{place}: {found}: expected the keys {', '.join(sorted(_WAIVER_KEYS))}")
    metric, cells, reason, expires = (table[key] for key in ("metric", "cells", "reason", "expires"))
    patterns = [cells] if isinstance(cells, str) else cells
    if not isinstance(patterns, list) or not patterns or not all(isinstance(p, str) for p in patterns):
        raise ConfigError(f"{place}: cells={cells!r}: expected a pattern or a list of patterns")
    for key, value in (("metric", metric), ("reason", reason)):
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"{place}: {key}={value!r}: expected some text")
    if isinstance(expires, datetime) or not isinstance(expires, date):
        raise ConfigError(f"{place}: expires={expires!r}: expected a day such as 2027-01-31, without quotes")
    return Waiver(metric=metric, cells=tuple(patterns), reason=reason, expires=expires)
