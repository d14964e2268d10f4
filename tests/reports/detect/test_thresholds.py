"""Promises about the numbers and names that are published."""

from __future__ import annotations

import re
from pathlib import Path

import reports
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


def test_the_public_surface_is_pinned() -> None:
    """What the package exports is a list that changes on purpose only."""
    assert sorted(reports.__all__) == [
        "Comparison",
        "Config",
        "History",
        "Results",
        "Side",
        "Waiver",
        "compare",
        "detect_history",
        "load_config",
        "load_results",
        "load_side",
        "report_document",
    ]
    assert all(hasattr(reports, name) for name in reports.__all__)


def test_exhausters_never_imports_pandas() -> None:
    """The harness itself stays free of pandas and of the reports."""
    folder = Path(reports.__file__).parents[1] / "exhausters"
    for path in folder.rglob("*.py"):
        assert not re.search(r"^\s*(import|from) (pandas|reports)\b", path.read_text(), re.M), path
