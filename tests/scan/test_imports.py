"""Which changes can change what a worker imports."""

from __future__ import annotations

import pytest

from exhausters.engine.api import ImportedSources
from exhausters.scan.history import FileChange
from exhausters.scan.imports import ImportedSet

_SOURCES = ImportedSources(
    files={"sglang/__init__.py": "1", "sglang/srt/pool.py": "2", "sglang/srt/tree/__init__.py": "3"},
    absent=("sglang.srt.extra",),
    elsewhere=("triton",),
    listed={"sglang/srt/models": ("a.py",)},
)


@pytest.mark.parametrize(
    ("status", "path", "seen"),
    [
        ("M", "sglang/srt/pool.py", True),
        ("D", "sglang/srt/pool.py", True),
        ("M", "sglang/srt/tree/__init__.py", True),
        ("M", "sglang/srt/never.py", False),
        ("A", "sglang/srt/never.py", False),
        ("M", "sglang/srt/models/b.py", False),
        ("A", "sglang/srt/models/b.py", True),
        ("A", "sglang/srt/extra.py", True),
        ("A", "sglang/srt/extra/deep/x.json", True),
        ("A", "sglang/srt/pool/__init__.py", True),
        ("A", "triton.py", True),
        ("A", "sglang/srt/README.md", False),
        ("M", "pyproject.toml", True),
        ("M", "pyproject_npu.toml", False),
    ],
)
def test_a_change_is_seen_where_an_import_could_see_it(status: str, path: str, seen: bool) -> None:
    """An imported file, a name that was missing or came from elsewhere, a searched folder, requirements."""
    imported = ImportedSet()
    imported.add(_SOURCES)
    assert imported.sees([FileChange(status=status, path=path)]) is seen


def test_all_is_seen_as_long_as_nothing_is_known() -> None:
    """Before the first build each commit that changes a module is a candidate."""
    assert ImportedSet().sees([FileChange(status="M", path="sglang/x.py")])
    assert not ImportedSet().sees([FileChange(status="M", path="sglang/x.md")])


def test_a_set_survives_its_file() -> None:
    """What `to_json` gives makes the same set, modules included."""
    imported = ImportedSet()
    imported.add(_SOURCES)
    again = ImportedSet(imported.to_json())
    assert again.to_json() == imported.to_json()
    assert again.sees([FileChange(status="A", path="sglang/srt/pool/__init__.py")])
