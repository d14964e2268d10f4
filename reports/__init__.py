"""From results to verdicts and reports.

`load_results` reads the results of three suites into one tidy pandas frame, `compare` judges two builds,
`detect_history` judges a range of builds, and `report_document` turns all of it into plain values. Each
package imports only from those before it: `load`, `detect`, `explain`, `render`, `dashboard`, `cli`.

Names are imported on first use, so that a command line can be built without loading pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.detect.config import Config, Waiver, load_config
    from reports.detect.history import History, detect_history
    from reports.explain.comparison import Comparison, compare
    from reports.load.builds import Side, load_side
    from reports.load.frame import Results
    from reports.load.load_results import load_results
    from reports.render.json_report import report_document

__all__ = [
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

_MODULES = {
    "Comparison": "reports.explain.comparison",
    "Config": "reports.detect.config",
    "History": "reports.detect.history",
    "Results": "reports.load.frame",
    "Side": "reports.load.builds",
    "Waiver": "reports.detect.config",
    "compare": "reports.explain.comparison",
    "detect_history": "reports.detect.history",
    "load_config": "reports.detect.config",
    "load_results": "reports.load.load_results",
    "load_side": "reports.load.builds",
    "report_document": "reports.render.json_report",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(module), name)
