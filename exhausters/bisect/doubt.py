"""Runs that a busy machine may have ended: they say nothing of a commit until a second one ends alike."""

from __future__ import annotations

from dataclasses import replace

from exhausters.sweep.record import CRASHED, OUT_OF_MEMORY, TIMEOUT, RunRecord

# In the provenance of a failed run: another one failed the same way after the same steps.
_ENDED_ALIKE = "ended_alike"


def is_doubtful(record: RunRecord) -> bool:
    """Tell whether the wall clock, a lack of memory or a signal may have ended a run, and not the build.

    A crash before the first step is a build that does not boot.
    """
    result = record.result
    may_be_the_machine = result.outcome in (TIMEOUT, OUT_OF_MEMORY) or (
        result.outcome == CRASHED and len(result.log) > 0
    )
    return may_be_the_machine and not result.provenance.get(_ENDED_ALIKE)


def confirmed(first: RunRecord, second: RunRecord) -> RunRecord:
    """Return the second run of a cell, without doubt if it failed after the very steps of the first."""
    ours, theirs = first.result, second.result
    is_alike = (ours.outcome, ours.log.digest) == (theirs.outcome, theirs.log.digest) and len(theirs.log) > 0
    if not is_alike:
        return second
    return replace(second, result=replace(theirs, provenance={**theirs.provenance, _ENDED_ALIKE: True}))
