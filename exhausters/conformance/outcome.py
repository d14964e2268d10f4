"""How each test ended, and how many of a file did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not applicable"
OUTCOMES = (PASSED, FAILED, NOT_APPLICABLE)
#: Begins the reason of a test that skips itself; what follows is its own.
SKIPS_ITSELF = "skips itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestOutcome:
    """How one test ended.

    Attributes:
        file: from the checkout on.
        test: `Class.method`.
        outcome: one of `OUTCOMES`.
        reason: one line; empty for a test that passed.
        detail: the whole traceback of a failure.
    """

    __test__ = False  # pytest: no test of ours

    file: str
    test: str
    outcome: str
    reason: str = ""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """As a plain object."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many tests ended how."""

    passed: int
    failed: int
    not_applicable: int

    @property
    def applicable(self) -> int:
        """Tests that could be run."""
        return self.passed + self.failed

    @property
    def share_passed(self) -> float | None:
        """The part of the applicable tests that passed, from 0 to 1; None where none is applicable."""
        return self.passed / self.applicable if self.applicable else None


def counts(outcomes: Iterable[TestOutcome]) -> Counts:
    """Count how tests ended."""
    counted = Counter(one.outcome for one in outcomes)
    return Counts(passed=counted[PASSED], failed=counted[FAILED], not_applicable=counted[NOT_APPLICABLE])


def by_file(outcomes: Iterable[TestOutcome]) -> Mapping[str, list[TestOutcome]]:
    """Group outcomes by file, in the order in which they come."""
    grouped: dict[str, list[TestOutcome]] = {}
    for one in outcomes:
        grouped.setdefault(one.file, []).append(one)
    return grouped


def exit_code(outcomes: Iterable[TestOutcome]) -> int:
    """Return 0 if every applicable test passed, 1 if one failed, 2 if none was applicable."""
    counted = counts(outcomes)
    if not counted.applicable:
        return 2
    return 1 if counted.failed else 0


def one_line(error: BaseException) -> str:
    """What an error says in one line: of a script's traceback, that is the last line with its error."""
    lines = [line for line in str(error).split("\n--- last lines")[0].splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    starts = [index for index, line in enumerate(lines) if line.startswith("  File ")]
    # An error's message may have several lines: the first one after the last frame and its source.
    after = [line for line in lines[starts[-1] + 1 :] if not line.startswith(" ")] if starts else lines
    said = (after or lines)[0].strip()
    if said == "AssertionError" and starts:
        return f"{said}: {lines[starts[-1] + 1].strip()}"
    return said
