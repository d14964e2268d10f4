"""Exhibits as data: which bug, which promise it breaks, how it is shown, and what must see it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.museum.acts import Act
from benchmarks.museum.put_back import Patch
from exhausters.errors import UsageError
from exhausters.observe.metrics import METRICS
from exhausters.oracles import PROMISES
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.workloads import Request, Segment, Workload, parse_workload

FOLDER = Path(__file__).parent / "exhibits"
# A pair of real commits, a pair of releases, or a bug put back into a release by a patch at run time.
COMMITS, RELEASES, PUT_BACK = "commits", "releases", "put back"
FORMS = (COMMITS, RELEASES, PUT_BACK)
# What can see a bug, beside the oracles: pages or rows that do not add up, a scheduler that raises, an
# outcome, a metric that is worse than on the mended build (`worse: NAME`), and at last another decision log.
CONSERVATION, CRASH, STALLED, ABORTED, DECISIONS = "conservation", "crash", "stalled", "aborted", "decisions"
WORSE = "worse: "
_OWN_WORKLOAD = "exhibit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """One bug (the fields are explained in docs/museum.md).

    Raises:
        UsageError: a word that there is not, or fields that do not go together.
    """

    pr: int
    title: str
    promise: str
    form: str
    detector: str
    shown: str
    fixed: str = ""
    fixed_on: date | None = None
    broken: str = ""
    broken_on: date | None = None
    builds: tuple[str, ...] = ()
    patches: tuple[Patch, ...] = ()
    cell: Cell
    workload: Workload
    acts: tuple[Act, ...] = ()
    sweep_steps: int = 1
    note: str = ""

    def __post_init__(self) -> None:
        where = f"exhibit {self.pr}"
        if self.form not in FORMS:
            raise UsageError(f"{where}: form={self.form!r}: expected one of {', '.join(FORMS)}")
        known = (CONSERVATION, CRASH, STALLED, ABORTED, DECISIONS, *(one.name for one in PROMISES))
        is_metric = self.detector.removeprefix(WORSE) in METRICS and self.detector.startswith(WORSE)
        if self.detector not in known and not is_metric:
            raise UsageError(
                f"{where}: detector={self.detector!r}: expected one of {', '.join(known)}, worse: METRIC"
            )
        if bool(self.patches) != (self.form == PUT_BACK):
            raise UsageError(f"{where}: patches go with the form {PUT_BACK!r}, and only with it")
        if len(self.builds) != {COMMITS: 0, RELEASES: 2, PUT_BACK: 1}[self.form]:
            raise UsageError(
                f"{where}: builds={self.builds!r}: expected two for releases, one to put back into"
            )
        if self.form == COMMITS and not self.fixed:
            raise UsageError(f"{where}: a pair of commits needs `fixed`, the commit that mended it")

    @property
    def days_lived(self) -> int | None:
        """Days between the commit that broke it and the one that mended it; None where one is not known."""
        if self.fixed_on is None or self.broken_on is None:
            return None
        return (self.fixed_on - self.broken_on).days

    @property
    def accuses_alone(self) -> bool:
        """Whether its detector needs no mended build beside the broken one to speak up."""
        return self.detector != DECISIONS and not self.detector.startswith(WORSE)

    @property
    def digest(self) -> str:
        """Of everything that a result depends on: an exhibit that was edited is run again."""
        parts = {
            "form": self.form,
            "detector": self.detector,
            "fixed": self.fixed,
            "builds": self.builds,
            "patches": [asdict(one) for one in self.patches],
            "cell": self.cell.to_json(),
            "workload": self.workload.digest,
            "acts": [asdict(one) for one in self.acts],
            "sweep_steps": self.sweep_steps,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def load_exhibits(folder: Path = FOLDER) -> tuple[Exhibit, ...]:
    """Return all exhibits, by the number of the pull request that mended each.

    Raises:
        UsageError: one that makes no sense, or two of one pull request.
    """
    found = [
        _exhibit(values, file.name)
        for file in sorted(folder.glob("*.toml"))
        for values in tomllib.loads(file.read_text())["exhibits"]
    ]
    numbers = [one.pr for one in found]
    twice = sorted({one for one in numbers if numbers.count(one) > 1})
    if twice:
        raise UsageError(f"{folder.name}: pull request {twice[0]} has two exhibits")
    return tuple(sorted(found, key=lambda one: one.pr))


def choose(exhibits: Sequence[Exhibit], numbers: Sequence[int]) -> tuple[Exhibit, ...]:
    """Return the exhibits of these pull requests, all of them when none is given; raises UsageError."""
    unknown = sorted(set(numbers) - {one.pr for one in exhibits})
    if unknown:
        raise UsageError(f"no exhibit {unknown[0]}; there are {', '.join(str(one.pr) for one in exhibits)}")
    return tuple(one for one in exhibits if not numbers or one.pr in numbers)


def _exhibit(given: Mapping[str, Any], file: str) -> Exhibit:
    values = dict(given)
    where = f"{file}: exhibit {values.get('pr')}"
    unknown = set(values) - {one.name for one in fields(Exhibit)} - {"engine", "levels", "requests", "warmup"}
    if unknown:
        raise UsageError(f"{where}: no field {', '.join(sorted(unknown))}")
    text, requests, warmup = (values.pop(name, None) for name in ("workload", "requests", "warmup"))
    if (text is None) == (requests is None):
        raise UsageError(f"{where}: expected either `workload` or `requests`")
    workload = parse_workload(text) if text is not None else _own_workload(requests, warmup or ())
    engine = EngineSettings.from_json(values.pop("engine", {}))
    levels = PressureLevels(**values.pop("levels", {}))
    return Exhibit(
        **{
            **values,
            "builds": tuple(values.get("builds", ())),
            "patches": tuple(Patch(**one) for one in values.get("patches", ())),
            "acts": tuple(Act(**one) for one in values.get("acts", ())),
            "cell": Cell(workload=text or _OWN_WORKLOAD, levels=levels, engine=engine),
            "workload": workload,
        }
    )


def _own_workload(requests: Sequence[Mapping[str, Any]], warmup: Sequence[Mapping[str, Any]]) -> Workload:
    return Workload(
        name=_OWN_WORKLOAD,
        requests=tuple(map(_request, requests)),
        warmup_requests=tuple(map(_request, warmup)),
    )


def _request(given: Mapping[str, Any]) -> Request:
    """A request that is written out: `prompt` is a list of [seed, length], the seed -1 for emitted tokens."""
    segments = (Segment(seed=None if seed < 0 else seed, length=length) for seed, length in given["prompt"])
    return Request(**{"arrival_seconds": 0.0, **given, "prompt": tuple(segments)})
