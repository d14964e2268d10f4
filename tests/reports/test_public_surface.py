"""Promises about what is published, and about which package may import which."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import reports

ROOT = Path(reports.__file__).parents[1]
# Each package imports only from those before it, and from the modules beside them.
LAYERS = ("load", "detect", "explain", "render", "dashboard", "cli")


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


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("layer", LAYERS)
def test_packages_import_downwards_only(layer: str) -> None:
    """No package of reports imports from one that builds on it: there is no circle."""
    above = LAYERS[LAYERS.index(layer) + 1 :]
    for path in (ROOT / "reports" / layer).rglob("*.py"):
        upwards = [
            name
            for name in imported(path)
            if name == "reports" or name.startswith(tuple(f"reports.{one}" for one in above))
        ]
        assert upwards == [], path


def test_every_package_has_its_layer() -> None:
    """A new package of reports is put among the layers."""
    assert {path.parent.name for path in (ROOT / "reports").glob("*/__init__.py")} == set(LAYERS)


def test_only_the_command_line_of_exhausters_knows_the_reports() -> None:
    """The harness itself stays free of pandas and of the reports; its command line calls the reports' own."""
    for path in (ROOT / "exhausters").rglob("*.py"):
        roots = {name.partition(".")[0] for name in imported(path)}
        assert "pandas" not in roots, path
        assert "reports" not in roots or path.parent == ROOT / "exhausters" / "cli", path


@pytest.mark.parametrize("module", ["exhausters.cli.app", "reports.cli.app"])
def test_a_command_line_loads_pandas_only_when_it_judges(module: str) -> None:
    """`--help` and `exhausters sweep` do not wait for pandas, scipy or the readers of results."""
    code = (
        f"import sys, {module}\nprint([name for name in ('pandas', 'scipy', 'numpy') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.strip() == "[]"
