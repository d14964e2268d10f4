"""Script files that are run as programs: what a worker does with them. On fake workers in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_HEAD = """
from exhausters.worker.host import Host
from tests.fakes.fake_target import fake_target

def script(t):
    yield
    return 7
"""
_START = "with Host(fake_target()) as host: print('returned', host.run(script))\n"


def _run(tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "mine.py"
    file.write_text(_HEAD + text)
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    return subprocess.run(
        [sys.executable, str(file)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_guarded_file_runs(tmp_path: Path) -> None:
    """A script in a file with a guard runs in the worker, which does not run what is below the guard."""
    done = _run(tmp_path, f'if __name__ == "__main__":\n    {_START}')
    assert "returned 7" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_START, "a worker cannot start a worker"),
        # As it fails where the worker's environment lacks what the program needs to start.
        (
            "import os\nif os.environ.get('EXHAUSTERS_IN_WORKER'): raise RuntimeError('names no commit')\n"
            + _START,
            "RuntimeError: names no commit",
        ),
    ],
)
def test_a_file_without_a_guard_is_told_so(tmp_path: Path, text: str, reason: str) -> None:
    """Instead of what its program stumbles over in the worker, the missing guard is named."""
    done = _run(tmp_path, text)
    assert done.returncode == 1
    assert "UsageError: script file" in done.stderr
    assert reason in done.stderr
    assert '`if __name__ == "__main__":`' in done.stderr
