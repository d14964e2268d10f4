"""The list of commits, and what comparing each of them said."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exhausters.errors import UsageError
from reports.vocabulary import CHANGED, DECISION_LOG

KINDS = ("decisions", "cost", "refactor")
_LIST = Path(__file__).with_name("commits.toml")
RUN_NAME = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit of SGLang.

    Attributes:
        id: nine hexadecimal digits.
        kind: one of `KINDS`, by its title.
        title: first line of its message.
        expected: answers of `exhausters compare` that agree with the title.
        because: what the title promises.
        note: what there is to be said after the comparison; empty if nothing.
    """

    id: str
    kind: str
    title: str
    expected: tuple[str, ...]
    because: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What one comparison said.

    Attributes:
        answer: its word, e.g. `neutral`; `failed` where the command left no report.
        sentence: the answer in one sentence, or the end of what the command printed.
        reach: how much of the change was executed, in words; empty if that was not measured.
        differing_cells, cells: cells in which decisions differ, of how many.
        seconds: real time that the command took.
    """

    answer: str
    sentence: str
    reach: str
    differing_cells: int
    cells: int
    seconds: float


def read_list(file: Path = _LIST) -> tuple[Commit, ...]:
    """Return the commits in the order of the list.

    Raises:
        UsageError: a kind that is not one of `KINDS`.
    """
    found = tuple(
        Commit(**{**one, "expected": tuple(one["expected"])})
        for one in tomllib.loads(file.read_text())["commits"]
    )
    for one in found:
        if one.kind not in KINDS:
            raise UsageError(f"{file}: {one.id}: kind {one.kind!r}; expected one of {', '.join(KINDS)}")
    return found


def read_compared(folder: Path) -> Compared | None:
    """Return what the comparison in a folder said; None if none has ended there."""
    run = _json(folder / RUN_NAME)
    if run is None:
        return None
    header, report = _json(folder / "compare.json") or {}, _json(folder / "report.json")
    if report is None:
        return Compared(
            answer="failed",
            sentence=str(run["last_line"]),
            reach="",
            differing_cells=0,
            cells=0,
            seconds=run["seconds"],
        )
    found = report["comparison"]
    logs = [one["verdict"] for one in found["verdicts"] if one["metric"] == DECISION_LOG]
    return Compared(
        answer=found["verdict"],
        sentence=found["answer"]["sentence"],
        reach=header.get("reach") or "",
        differing_cells=logs.count(CHANGED),
        cells=len(logs),
        seconds=run["seconds"],
    )


def _json(file: Path) -> dict[str, Any] | None:
    return json.loads(file.read_text()) if file.exists() else None
