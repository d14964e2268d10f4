"""Promises about the numbers that decide."""

from __future__ import annotations

import re
from pathlib import Path

from reports.detect import thresholds

DOCS = Path(__file__).parents[3] / "docs" / "verdicts.md"


def test_the_documentation_states_the_numbers() -> None:
    """Each constant of the rules is in docs/verdicts.md with its value, and nothing else is."""
    stated = {
        name: float(value)
        for name, value in re.findall(r"^\| `([A-Z_]+)` \| ([\d.]+) \|", DOCS.read_text(), re.M)
    }
    assert stated == {name: float(value) for name, value in vars(thresholds).items() if name.isupper()}


def test_the_documentation_states_the_exit_codes_and_words() -> None:
    """Every verdict and outcome word is explained there."""
    from reports.vocabulary import ALL_OUTCOMES, VERDICTS

    text = DOCS.read_text()
    assert all(word in text for word in (*VERDICTS, *ALL_OUTCOMES))
