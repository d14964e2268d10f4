"""The search: halve the line of commits until one is left, or only ones that cannot be judged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from exhausters.bisect.commit_runs import CommitRuns
from exhausters.bisect.doubt import is_doubtful
from exhausters.bisect.first_parents import FirstParents
from exhausters.bisect.question import Question, Records
from exhausters.bisect.state import BisectFolder
from exhausters.errors import SeamError, TargetError, UsageError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where the answer changed.

    Attributes:
        candidates: last the first commit found bad, before it those that could not be judged: the change is
            in one of them.
        before, after: records of the last good and of the first bad commit.
        good: the last good commit.
        tested: commits that were judged, both ends included.
    """

    candidates: tuple[str, ...]
    good: str
    before: Records
    after: Records
    tested: int

    @property
    def commit(self) -> str:
        """The first commit that was found bad."""
        return self.candidates[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Skip:
    """Why a commit cannot be judged, and whether a later call may find it otherwise."""

    reason: str
    can_pass: bool


def search(
    line: FirstParents, asked: Question, runs: CommitRuns, state: BisectFolder, say: Say = lambda text: None
) -> Found | None:
    """Find the first bad commit; None when the two ends do not differ.

    Raises:
        UsageError: an end cannot be judged.
        TargetError: an end cannot be prepared.
    """
    say(f"good end {line.title(line.good)}")
    good_end = _end(line.good, "GOOD", asked, runs)
    say(f"bad end {line.title(line.bad)}")
    bad_end = _end(line.bad, "BAD", asked, runs)
    if not asked.differ(good_end, bad_end):
        return None
    good, bad, before, after, tested = line.good, line.bad, good_end, bad_end, 2
    while (commit := line.middle(good, bad, state.skipped)) is not None:
        left = len(line.between(good, bad))
        say(f"{left} commits left, about {math.ceil(math.log2(left))} more: {line.title(commit)}")
        records, skip = _tried(commit, asked, runs)
        if skip is not None:
            state.note_skip(commit, skip.reason, can_pass=skip.can_pass)
            say(f"  skipped: {skip.reason}")
            continue
        tested += 1
        if asked.is_bad(records, good=good_end, bad=bad_end):
            bad, after = commit, records
            say("  bad")
        else:
            good, before = commit, records
            say("  good")
    return Found(candidates=line.between(good, bad), good=good, before=before, after=after, tested=tested)


def _end(commit: str, name: str, asked: Question, runs: CommitRuns) -> Records:
    records = runs.records(commit)
    reason = asked.unusable(records)
    if reason:
        raise UsageError(f"{name} {commit[:10]} cannot be judged ({reason}); expected two ends that run")
    return records


def _tried(commit: str, asked: Question, runs: CommitRuns) -> tuple[Records, _Skip | None]:
    """Return a commit's records, and why it must be skipped, if so."""
    try:
        records = runs.records(commit)
    except TargetError as error:
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        # What its sources lack stays so; a full disk or a network does not.
        return (), _Skip(reason=reason, can_pass=not isinstance(error, SeamError))
    reason = asked.unusable(records)
    return records, _Skip(reason=reason, can_pass=any(map(is_doubtful, records))) if reason else None
