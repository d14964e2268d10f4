"""Promises about what is published, and about what an import loads."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import reports

ROOT = Path(reports.__file__).parents[1]


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


def test_every_package_has_its_layer() -> None:
    """A new package of reports is put among the layers that `make lint` holds."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["id"] == "report-layers")
    packages = {f"reports.{path.parent.name}" for path in (ROOT / "reports").glob("*/__init__.py")}
    assert packages == {name for name in layers if name.startswith("reports.")}


@pytest.mark.parametrize("module", ["exhausters.cli.app", "reports.cli.app"])
def test_a_command_line_loads_pandas_only_when_it_judges(module: str) -> None:
    """`--help` and `exhausters sweep` do not wait for pandas, scipy or the readers of results."""
    code = (
        f"import sys, {module}\nprint([name for name in ('pandas', 'scipy', 'numpy') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.strip() == "[]"
