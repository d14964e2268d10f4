"""From results to verdicts and reports.

`load` reads results of three suites into one tidy pandas frame, `compare` judges two builds,
`detect_history` judges a range of them, `build_document` turns all of it into plain values.
"""

from __future__ import annotations

from reports.compare import Comparison, compare
from reports.config import Config, Waiver, load_config
from reports.detect_history import History, detect_history
from reports.document import build_document
from reports.frame import Results
from reports.load import load
from reports.select import Side, load_side

__all__ = [
    "Comparison",
    "Config",
    "History",
    "Results",
    "Side",
    "Waiver",
    "build_document",
    "compare",
    "detect_history",
    "load",
    "load_config",
    "load_side",
]
