"""What the harness sees on the broken build and on the mended one, and whether that is a finding."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.museum.exhibit import ABORTED, CONSERVATION, CRASH, DECISIONS, STALLED, WORSE, Exhibit
from exhausters.observe.decision_log import first_divergence
from exhausters.observe.divergence_sentence import divergence_sentence
from exhausters.observe.metrics import HIGHER, METRICS
from exhausters.sweep.record import ABORTED as RUN_ABORTED
from exhausters.sweep.record import CRASHED, OUT_OF_MEMORY, TIMEOUT, CellResult
from exhausters.sweep.record import STALLED as RUN_STALLED

# The worker's words for pools that do not add up (see `exhausters.sweep.failure`).
_CONSERVATION_ERROR = "ConservationError: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What came of one exhibit.

    Attributes:
        is_found: its detector fired on the broken build, and was silent on the mended one.
        says: what the detector said, or why the exhibit is missed.
        also: what else fired on the broken build and not on the mended one, by name.
        steps: steps of the broken run until it was certain.
    """

    is_found: bool
    says: str
    also: tuple[str, ...]
    steps: int


def seen(result: CellResult) -> dict[str, tuple[str, int]]:
    """Return what one run shows of itself: by detector, what it said, and at which step it was certain."""
    found: dict[str, tuple[str, int]] = {}
    last = len(result.log)
    if result.outcome == CRASHED and result.reason.startswith(_CONSERVATION_ERROR):
        said = result.reason.removeprefix(_CONSERVATION_ERROR)
        # The error ends the script, and with it the log; it names the step itself.
        step = re.match(r"step (\d+):", said)
        found[CONSERVATION] = said, int(step[1]) + 1 if step else last
    elif result.outcome in (CRASHED, OUT_OF_MEMORY):
        found[CRASH] = result.reason, last
    elif result.outcome in (RUN_STALLED, TIMEOUT):
        found[STALLED] = result.reason, last
    elif result.outcome == RUN_ABORTED:
        found[ABORTED] = result.reason, last
    for one in result.judgement.findings if result.judgement is not None else ():
        found.setdefault(one.promise, (one.saw, one.step + 1))
    return found


def compare(exhibit: Exhibit, broken: CellResult, mended: CellResult) -> Sighting:
    """Say whether the bug was found, by what, and when."""
    ours, theirs = seen(broken), seen(mended)
    ours.update(_differences(broken, mended, exhibit.detector))
    also = tuple(name for name in ours if name not in theirs and name != exhibit.detector)
    for name in (exhibit.detector, CRASH, CONSERVATION):
        if name not in theirs:
            continue
        says = f"{name} on the mended build too: {theirs[name][0]}"
        return Sighting(is_found=False, says=says, also=also, steps=len(mended.log))
    if exhibit.detector not in ours:
        return Sighting(is_found=False, says="silent on the broken build", also=also, steps=len(broken.log))
    says, steps = ours[exhibit.detector]
    return Sighting(is_found=True, says=says, also=also, steps=steps)


def _differences(broken: CellResult, mended: CellResult, detector: str) -> Mapping[str, tuple[str, int]]:
    """What two runs show beside each other: another log, and the metric that is asked for, if it is worse."""
    found: dict[str, tuple[str, int]] = {}
    divergence = first_divergence(mended.log, broken.log)
    if divergence is None:
        return found
    step = divergence.step
    ours, theirs = (one.log.steps[step] if step < len(one.log) else None for one in (mended, broken))
    found[DECISIONS] = divergence_sentence(ours, theirs), step + 1
    name = detector.removeprefix(WORSE)
    if detector.startswith(WORSE):
        before, now = mended.metrics.get(name), broken.metrics.get(name)
        if before is not None and now is not None:
            is_worse = now < before if METRICS[name].better == HIGHER else now > before
            if is_worse:
                found[detector] = f"{name} {before:,.6g} → {now:,.6g}", len(broken.log)
    return found
