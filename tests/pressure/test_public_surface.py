"""The public names of the package are what other code may use; a change here is a change for them."""

from __future__ import annotations

import subprocess
import sys

import exhausters.pressure as package


def test_public_names() -> None:
    """The list is sorted, complete, and changes only on purpose."""
    assert package.__all__ == [
        "ALL",
        "Exhauster",
        "ExhausterKind",
        "NodeView",
        "PressureHoldings",
        "PressureLevels",
        "PressureSet",
        "ScriptedKvPoolExhauster",
        "ScriptedLockRefExhauster",
        "ScriptedReqRowExhauster",
        "check_level",
        "kind_of",
        "kinds",
        "level_names",
        "register",
        "unregister",
    ]
    assert all(hasattr(package, name) for name in package.__all__)


def test_imports_neither_sglang_nor_torch() -> None:
    """The exhausters work on whatever scheduler they are given, and load nothing heavy to do so."""
    code = (
        "import sys, exhausters.pressure; "
        "print([m for m in ('sglang', 'torch', 'numpy', 'pandas') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
