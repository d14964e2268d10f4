"""docs/conformance.md explains what its table shows."""

from __future__ import annotations

import re
from pathlib import Path

from exhausters.conformance.report import BEGIN, END

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def test_every_failure_is_explained() -> None:
    """Each test that the table has as failed is named in what people wrote below it, and no other is."""
    before, _, rest = _DOCUMENT.read_text().partition(BEGIN)
    tables, _, after = rest.partition(END)
    assert before
    failed = re.findall(r"^\| `(\w+\.test_\w+)` \|", tables, flags=re.MULTILINE)
    assert sorted(failed) == sorted(set(re.findall(r"`(\w+\.test_\w+)`", after)))


def test_the_promised_share_passes() -> None:
    """At least 95 % of the applicable tests pass, as the table's last row has it."""
    row = re.search(r"^\| all \| (\d+) \| (\d+) \| \d+ \|$", _DOCUMENT.read_text(), flags=re.MULTILINE)
    assert row is not None
    passed, failed = int(row[1]), int(row[2])
    assert passed >= 0.95 * (passed + failed)
