"""Runs an exhibit on the mended build and on the broken one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.museum.acts import acted
from benchmarks.museum.exhibit import COMMITS, CONSERVATION, CRASH, PUT_BACK, Exhibit
from benchmarks.museum.put_back import Patch
from benchmarks.museum.sight import Sighting, compare, seen
from exhausters.errors import ExhaustersError, ResetError, ScriptFailedError, UsageError
from exhausters.oracles.rounds import OF_ROUNDS
from exhausters.sweep.failure import failed_result
from exhausters.sweep.record import UNSUPPORTED, CellResult
from exhausters.sweep.workers import Workers
from exhausters.targets import PreparedTarget

# A run takes a second or two; on a machine that is busy, many times that.
_TIMEOUT_SECONDS = 600.0
# What tells whether a run got to where a bug can show.
_REACHED = ("retractions", "parked_steps", "evicted_tokens", "cache_hit_tokens")
# Of an error, the end of its traceback.
_SHOWN_LETTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One exhibit that was run.

    Attributes:
        sighting: what came of it.
        at_step: by how many steps its acts were put off in the run that shows it, of a sweep; else 0.
        seconds: real time of its runs, boots included where it needed one.
    """

    sighting: Sighting
    at_step: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it in plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Shown:
        """Return what `to_json` wrote."""
        sighting = dict(values["sighting"])
        sighting["also"] = tuple(sighting["also"])
        return cls(sighting=Sighting(**sighting), at_step=values["at_step"], seconds=values["seconds"])


def show(
    exhibit: Exhibit, workers: Workers, repo: Path | None, say: Callable[[str], None] = lambda said: None
) -> Shown:
    """Run the mended build and the broken one, with the acts at one place after the other until it is found.

    Raises:
        UsageError: a pair of commits without a clone, a bug that cannot be put back, or a switch that a build
            does not have.
        ScriptFailedError: something went wrong in the script itself.
        ExhaustersError: a build that cannot be booted.
    """
    broken, mended = builds_of(exhibit, workers, repo)
    began = time.monotonic()
    sighting: Sighting | None = None
    for put_off in range(exhibit.sweep_steps):
        kept = _mended(exhibit, mended, put_off, workers)
        lost = _run(exhibit, broken, exhibit.patches, put_off, workers)
        sighting = compare(exhibit, lost, kept)
        say(f"  {put_off}: broken {_told(lost)}; mended {_told(kept)}")
        if sighting.is_found:
            break
    assert sighting is not None, "an exhibit is run at least once"
    return Shown(sighting=sighting, at_step=put_off, seconds=time.monotonic() - began)


def builds_of(exhibit: Exhibit, workers: Workers, repo: Path | None) -> tuple[PreparedTarget, PreparedTarget]:
    """Return the broken build and the mended one; of a bug that is put back both are the same.

    Raises:
        UsageError: a pair of commits, and no clone that has them.
    """
    if exhibit.form == COMMITS:
        if repo is None:
            raise UsageError(f"exhibit {exhibit.pr} is a pair of commits: name a clone of SGLang with --repo")
        names = [f"git:{repo}@{exhibit.fixed}~1", f"git:{repo}@{exhibit.fixed}"]
    elif exhibit.form == PUT_BACK:
        names = [f"release:{exhibit.builds[0]}"] * 2
    else:
        names = [f"release:{one}" for one in exhibit.builds]
    broken, mended = (workers.prepared(one) for one in names)
    return broken, mended


def _mended(exhibit: Exhibit, build: PreparedTarget, put_off: int, workers: Workers) -> CellResult:
    """Run the mended build; once more in a new worker if it is accused: a bug may have left something."""
    kept = _run(exhibit, build, (), put_off, workers)
    if not {exhibit.detector, CRASH, CONSERVATION} & set(seen(kept)):
        return kept
    with workers.lease() as lease:
        lease.host(build, exhibit.cell.engine).close()
    return _run(exhibit, build, (), put_off, workers)


def _run(
    exhibit: Exhibit, build: PreparedTarget, patches: Sequence[Patch], put_off: int, workers: Workers
) -> CellResult:
    acts = [asdict(one.later(put_off)) for one in exhibit.acts]
    code = [asdict(one) for one in patches]
    cell, workload = exhibit.cell, exhibit.workload
    in_rounds = exhibit.detector in OF_ROUNDS
    with workers.lease() as lease:
        while True:
            host = lease.host(build, cell.engine)
            try:
                result: CellResult = host.run(
                    acted, cell, workload, acts, code, in_rounds, timeout_seconds=_TIMEOUT_SECONDS
                )
            except ResetError:
                # The bug before this one has left an engine that cannot be brought back. A new one can.
                host.close()
                continue
            except (UsageError, ScriptFailedError):
                raise  # a mistake of the exhibit, not of what it shows
            except ExhaustersError as error:
                host.close()  # what a bug has left of it is no engine for the next exhibit
                return failed_result(error, cell, workload)
            break
    if result.outcome == UNSUPPORTED:
        raise UsageError(f"exhibit {exhibit.pr}: {result.reason}")
    return result


def _told(result: CellResult) -> str:
    words = [f"{name}: {says}" for name, (says, _) in seen(result).items()]
    words += [f"{result.metrics[name]} {name}" for name in _REACHED if result.metrics.get(name)]
    if "error" in result.provenance:
        told, _, _ = str(result.provenance["error"]).partition("--- last lines of")
        words.append(told[-_SHOWN_LETTERS:])
    return f"{result.outcome} in {len(result.log)} steps ({'; '.join(words) or 'nothing'})"
