from __future__ import annotations

from pathlib import Path

from exhausters.observe.metrics import METRICS
from exhausters.observe.metrics_document import metrics_document

_PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_the_registry() -> None:
    """docs/metrics.md is what the registry says now (`make metrics` writes it)."""
    assert _PAGE.read_text() == metrics_document()


def test_every_metric_has_its_row() -> None:
    """No metric is missing from the page, and none is listed twice."""
    rows = [line.split("`")[1] for line in metrics_document().splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(METRICS)
