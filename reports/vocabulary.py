"""The words of verdicts and outcomes (docs/glossary.md)."""

from __future__ import annotations

from typing import Final

from exhausters.sweep.record import ABORTED, CRASHED, DRAINED, OUT_OF_MEMORY, STALLED, TIMEOUT, UNSUPPORTED

WORSE, BETTER, CHANGED, SAME = "worse", "better", "changed", "same"
UNDECIDED, BROKEN = "undecided", "broken"
# Where there is nothing to compare, or it is not known; no verdict.
NOT_JUDGED: Final = "not judged"
# Answers of the gate, beside `better`, `worse`, `undecided` and `broken`: everything is equal; something
# differs and nothing of it matters; it matters both ways; no run executed what changed.
IDENTICAL, NEUTRAL, TRADE_OFF, UNREACHED = "identical", "neutral", "trade-off", "unreached"
ANSWERS: Final = (BROKEN, UNREACHED, UNDECIDED, WORSE, TRADE_OFF, BETTER, NEUTRAL, IDENTICAL)
# What an author can say that a change is meant to be (see `reports.detect.claims`).
ANY, REFACTOR, FASTER, POLICY = "any", "refactor", "faster", "policy"
CLAIMS: Final = (ANY, REFACTOR, FASTER, POLICY)
# In the order in which a reader wants to see them.
VERDICTS: Final = (BROKEN, WORSE, UNDECIDED, BETTER, CHANGED, SAME)

# Outcomes that a suite can report beside those of a run: asv writes null for a failed benchmark and NaN
# for a skipped one. `missing` is a cell that only the other build has.
FAILED, SKIPPED, MISSING = "failed", "skipped", "missing"
# What the scheduler itself did: such outcomes are compared.
DECIDED_OUTCOMES: Final = frozenset({DRAINED, STALLED, ABORTED, OUT_OF_MEMORY})
# Nothing was measured, or something other than the scheduler failed.
BROKEN_OUTCOMES: Final = frozenset({CRASHED, TIMEOUT, FAILED, MISSING})
# Nothing was measured, and nothing failed: this build lacks what the cell is about, or it was left out.
UNMEASURED_OUTCOMES: Final = frozenset({SKIPPED, UNSUPPORTED})
ALL_OUTCOMES: Final = DECIDED_OUTCOMES | BROKEN_OUTCOMES | UNMEASURED_OUTCOMES

# Rows of a frame that hold a run's outcome, and verdicts on the decision log as a whole.
OUTCOME: Final = "outcome"
DECISION_LOG: Final = "decision_log"
# A metric that the registry does not know: shown, never judged.
UNREGISTERED: Final = "unregistered"

# What `python -m reports build` writes; a search for results passes it by.
REPORT_FORMAT: Final = "exhausters-report"

# Suites.
SWEEP, ASV, PYTEST_BENCHMARK = "sweep", "asv", "pytest_benchmark"
