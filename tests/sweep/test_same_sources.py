"""Which trees import the same: equal files, nothing that shadows them, nothing that was missing before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from exhausters.engine.api import ImportedSources
from exhausters.sweep.same_sources import SourceTree

_FILES = {"sglang/__init__.py": "", "sglang/a.py": "import sglang.b", "sglang/b.py": "x = 1"}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_SOURCES = ImportedSources(
    files={path: _digest(text) for path, text in _FILES.items()},
    absent=("sglang.optional", "vllm"),
    elsewhere=("sglang.layers", "torch"),
    listed={"sglang/models/": ("llama.py",)},
)


def _add(folder: Path, path: str, text: str = "") -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the sources were noted of, with files that are not imported."""
    for path, text in {**_FILES, "sglang/models/llama.py": "", "sglang/layers/one.py": ""}.items():
        _add(tmp_path, path, text)
    return tmp_path


def test_the_same_files_are_the_same(folder: Path) -> None:
    """A tree with the imported files as they were has the same sources."""
    assert SourceTree(folder).has(_SOURCES)


@pytest.mark.parametrize(
    "path",
    [
        "sglang/other.py",
        "sglang/layers/two.py",
        "README.md",
        "torch/notes.txt",
        "sglang/__pycache__/a.cpython-311.pyc",
    ],
)
def test_a_file_that_is_not_imported_changes_nothing(folder: Path, path: str) -> None:
    """Files that no import finds are not compared."""
    _add(folder, path, "new")
    assert SourceTree(folder).has(_SOURCES)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: _add(folder, "sglang/b.py", "x = 2"),
        lambda folder: (folder / "sglang/b.py").unlink(),
        lambda folder: _add(folder, "sglang/b/__init__.py"),
        lambda folder: _add(folder, "sglang/b.cpython-311-x86_64-linux-gnu.so"),
        lambda folder: _add(folder, "sglang/optional.py"),
        lambda folder: _add(folder, "sglang/optional/part.py"),
        lambda folder: _add(folder, "vllm.py"),
        lambda folder: _add(folder, "torch.py"),
        lambda folder: _add(folder, "torch/__init__.py"),
        lambda folder: _add(folder, "sglang/layers/__init__.py"),
        lambda folder: _add(folder, "sglang/models/qwen.py"),
        lambda folder: (folder / "sglang/models/llama.py").unlink(),
    ],
    ids=[
        "changed",
        "removed",
        "package before the module",
        "compiled before the module",
        "looked up in vain",
        "folder looked up in vain",
        "top level looked up in vain",
        "before the environment's module",
        "before the environment's package",
        "folder becomes a package",
        "new in a searched folder",
        "gone from a searched folder",
    ],
)
def test_what_would_be_imported_otherwise_is_another_tree(
    folder: Path, change: Callable[[Path], None]
) -> None:
    """A changed file, and one that an import would find instead or at last, makes the sources differ."""
    change(folder)
    assert not SourceTree(folder).has(_SOURCES)
