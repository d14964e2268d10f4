"""What a worker reports of its imports, in a process of its own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import dataclasses, importlib, json, pkgutil, sys
from exhausters.engine.sglang.import_watch import imported_sources, watch_imports
assert imported_sources().files == {}
sys.path.insert(0, sys.argv[1])
watch_imports((sys.argv[1],))
import sglang_like.user
print(json.dumps(dataclasses.asdict(imported_sources())))
"""
_FILES = {
    "sglang_like/__init__.py": "",
    "sglang_like/unused.py": "",
    "sglang_like/models/llama.py": "",
    "sglang_like/user.py": """
import importlib, json, pkgutil
import sglang_like.models
try:
    import sglang_like.optional
except ImportError:
    pass
try:
    import no_such_package.part
except ImportError:
    pass
for found in pkgutil.iter_modules(sglang_like.models.__path__):
    importlib.import_module(f"sglang_like.models.{found.name}")
""",
}


def test_imports_failed_imports_and_searched_folders_are_reported(tmp_path: Path) -> None:
    """Imported files come with their digests, unused ones not at all; a package may lack `__init__.py`."""
    for path, text in _FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(shown.stdout)
    assert found["files"] == {
        path: hashlib.sha256(text.encode()).hexdigest()
        for path, text in sorted(_FILES.items())
        if "unused" not in path
    }
    assert {"sglang_like.optional", "no_such_package"} <= set(found["absent"])
    assert {"sglang_like.models", "json", "exhausters"} <= set(found["elsewhere"])
    assert found["listed"] == {"sglang_like/models/": ["llama.py"]}
