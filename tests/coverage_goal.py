"""`python -m tests.coverage_goal`: print what tests execute of each package, and whether that is enough.

Exits with 1 below the goal, 90 % of lines and 85 % of branches.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

LINES_GOAL, BRANCHES_GOAL = 0.90, 0.85


@dataclass
class Counts:
    """How many lines and branches there are, and how many were executed."""

    lines: int = 0
    executed_lines: int = 0
    branches: int = 0
    executed_branches: int = 0

    def add(self, summary: dict[str, int]) -> None:
        """Add what coverage counts of one file."""
        self.lines += summary["num_statements"]
        self.executed_lines += summary["covered_lines"]
        self.branches += summary["num_branches"]
        self.executed_branches += summary["covered_branches"]

    @property
    def shares(self) -> tuple[float, float]:
        """The executed shares of lines and of branches; 1 where there are none."""
        return (
            self.executed_lines / self.lines if self.lines else 1.0,
            self.executed_branches / self.branches if self.branches else 1.0,
        )


def by_package(files: dict[str, dict[str, dict[str, int]]]) -> dict[str, Counts]:
    """Return the counts of each package below `exhausters`, of `reports`, and of `all`."""
    found: dict[str, Counts] = defaultdict(Counts)
    for path, about in sorted(files.items()):
        parts = Path(path).parts
        package = "/".join(parts[:2]) if len(parts) > 2 else parts[0]
        for name in (package, "all"):
            found[name].add(about["summary"])
    return found


def main() -> int:
    """Print a table; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "--quiet", "-o", path], check=True)
        files = json.loads(path.read_text())["files"]
    found = by_package(files)
    for name in sorted(found, key=lambda one: (one == "all", one)):
        lines, branches = found[name].shares
        of_lines, of_branches = found[name].lines, found[name].branches
        print(f"{name:32} lines {lines:6.1%} of {of_lines:6,}  branches {branches:6.1%} of {of_branches:5,}")
    lines, branches = found["all"].shares
    is_enough = lines >= LINES_GOAL and branches >= BRANCHES_GOAL
    answer = "reached" if is_enough else "not reached"
    print(f"goal: lines {LINES_GOAL:.0%}, branches {BRANCHES_GOAL:.0%}: {answer}")
    return 0 if is_enough else 1


if __name__ == "__main__":
    sys.exit(main())
