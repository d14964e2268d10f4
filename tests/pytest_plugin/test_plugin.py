"""The pytest plugin, in runs of its own: on the fake engine, and the example on the newest release."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PLUGIN = "exhausters.pytest_plugin.plugin"
_FAKE = """
import pytest
from tests.fakes.fake_target import fake_target

@pytest.fixture(scope="session")
def exhausters_target():
    return fake_target()
"""
_HEAD = """
import pytest
from exhausters.scripted.helpers import run_until_finished
"""


def _pytest(folder: Path, *arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    # Loaded by name, whether or not the environment that runs this has the entry point.
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        _PLUGIN,
        "-p",
        "no:cacheprovider",
        "--strict-markers",
        "-v",
    ]
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def _run(folder: Path, text: str, *arguments: str) -> str:
    (folder / "conftest.py").write_text(_FAKE)
    (folder / "test_mine.py").write_text(_HEAD + text)
    return _pytest(folder, *arguments).stdout


def test_the_entry_point_is_the_plugin() -> None:
    """The distribution tells pytest of the plugin by the name of its module."""
    stated = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert stated == {"exhausters": _PLUGIN}


def test_it_lives_beside_the_tests_of_this_project(tmp_path: Path) -> None:
    """Found by its entry point, the plugin changes nothing for tests that have a conftest of their own."""
    stated = tmp_path / "stated-0.dist-info"
    stated.mkdir()
    (stated / "METADATA").write_text("Metadata-Version: 2.1\nName: stated\nVersion: 0\n")
    (stated / "entry_points.txt").write_text(f"[pytest11]\nexhausters = {_PLUGIN}\n")
    environment = {**os.environ, "PYTHONPATH": f"{_ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--trace-config", "tests/scripted/test_batch_log.py"],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exhausters/pytest_plugin/plugin.py" in done.stdout


def test_unused_it_imports_nothing(tmp_path: Path) -> None:
    """A run without an engine has the plugin's one module and nothing else of the project, nor torch."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_modules():\n"
        "    known = {'exhausters', 'exhausters.pytest_plugin', 'exhausters.pytest_plugin.plugin'}\n"
        "    assert {name for name in sys.modules if name.startswith('exhausters')} == known\n"
        "    assert not {'torch', 'sglang', 'pandas', 'numpy', 'typer'} & set(sys.modules)\n"
    )
    done = _pytest(tmp_path)
    assert "1 passed" in done.stdout, done.stdout


def test_scripts_are_tests(tmp_path: Path) -> None:
    """A marked generator function is a test, with parameters and fixtures; the torch-free parent runs it."""
    said = _run(
        tmp_path,
        """
import sys

@pytest.fixture
def outputs():
    return 3

@pytest.mark.scripted_engine(max_total_tokens=4096)
@pytest.mark.parametrize("prompt_len", [16, 64])
def test_script(t, prompt_len, outputs):
    r = t.start_req(prompt_len=prompt_len, max_new_tokens=outputs)
    yield from run_until_finished(r)
    assert r.finished

def script(t, answer):
    yield
    return answer

@pytest.mark.scripted_engine
def test_plain(scripted_engine, exhausters_target):
    assert scripted_engine.run(script, 42) == 42
    assert exhausters_target.name == "fake"
    assert "torch" not in sys.modules
""",
    )
    assert "test_script[16] PASSED" in said, said
    assert "3 passed" in said, said


def test_a_failure_shows_the_last_steps(tmp_path: Path) -> None:
    """The report of a failed script has the worker's traceback, from the script on, and the last steps."""
    said = _run(
        tmp_path,
        """
@pytest.mark.scripted_engine(chunked_prefill_size=64)
def test_script(t):
    r = t.start_req(prompt_len=128, max_new_tokens=3, rid="mine")
    yield from run_until_finished(r)
    assert r.chunks_done == 7, "as many as days"

def passes_after_all(t):
    yield

def test_the_engine_lives_on(scripted_engine):
    scripted_engine.run(passes_after_all)
""",
    )
    assert "1 failed, 1 passed" in said, said
    assert "AssertionError: as many as days" in said
    assert "player.py" not in said
    assert "decision log, last steps" in said
    assert re.search(r"step 0: prefill mine \(64\); in chunks: mine; tokens [\d,]+ free", said), said
    assert re.search(r"step \d+: decode mine \(1\)", said)
    assert "entries are hidden" not in said


def test_a_dead_worker_shows_what_is_left(tmp_path: Path) -> None:
    """When a script ends its scheduler the report says so, and the next test has another one."""
    said = _run(
        tmp_path,
        """
import os
pytestmark = pytest.mark.scripted_engine()

def test_ends(t):
    yield
    os._exit(3)

def test_next(t):
    yield
""",
    )
    assert "WorkerCrashedError" in said, said
    assert "1 failed, 1 passed" in said


def test_scopes(tmp_path: Path) -> None:
    """An engine lives as long as its scope, equal settings share it there, and the nearest marker wins."""
    said = _run(
        tmp_path,
        """
pytestmark = pytest.mark.scripted_engine(max_total_tokens=4096)
seen = []

def pid(t):
    import os
    yield
    return os.getpid(), t.engine_stats()["kv_pool_free"]

def test_one(scripted_engine):
    seen.append(scripted_engine.run(pid))

def test_two(scripted_engine):
    assert scripted_engine.run(pid) == seen[0]

@pytest.mark.scripted_engine(scope="function")
def test_own(scripted_engine):
    assert scripted_engine.run(pid)[0] != seen[0][0]

@pytest.mark.scripted_engine(max_total_tokens=2048)
def test_smaller(scripted_engine):
    assert scripted_engine.run(pid)[1] < seen[0][1]

@pytest.mark.scripted_engine(scope="week")
def test_unknown(scripted_engine):
    pass
""",
    )
    assert "4 passed, 1 error" in said, said
    assert "scope='week': expected one of function, class, module, session" in said


def test_a_script_in_a_class_is_refused(tmp_path: Path) -> None:
    """A script that the worker could not find by its name is refused when it is collected."""
    said = _run(
        tmp_path,
        """
class TestMine:
    @pytest.mark.scripted_engine
    def test_script(self, t):
        yield
""",
    )
    assert "expected a function at the top of its file" in said, said


def test_a_generator_without_the_marker_is_pytest_s(tmp_path: Path) -> None:
    """Other generator functions are as they were without the plugin."""
    assert "'yield' keyword" in _run(tmp_path, "def test_old_style():\n    yield\n")


def test_the_option_names_the_target(tmp_path: Path) -> None:
    """A target that cannot be is an error that names it."""
    (tmp_path / "test_mine.py").write_text("def test_it(exhausters_target):\n    pass\n")
    done = _pytest(tmp_path, "--exhausters-target", "nothing:0")
    assert "TargetSpecError" in done.stdout
    assert "nothing:0" in done.stdout


@pytest.mark.real
def test_the_example_of_the_document_passes() -> None:
    """The example project runs as it stands, on the newest release."""
    done = _pytest(_ROOT / "docs" / "examples" / "pytest_project", timeout=500.0)
    assert "5 passed" in done.stdout, done.stdout
