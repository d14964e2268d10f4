"""The distribution as somebody gets it: complete, and useful far from the repository.

`make package` builds it into a folder and names that by EXHAUSTERS_DIST.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from exhausters.targets import NEWEST_RELEASE
from exhausters.targets.cache import cache_root

pytestmark = [pytest.mark.package, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
_TARGET = f"release:{NEWEST_RELEASE}"


@pytest.fixture(scope="module")
def dist() -> Path:
    """Where the sdist and the wheel are."""
    folder = os.environ.get("EXHAUSTERS_DIST")
    if not folder:
        pytest.fail("EXHAUSTERS_DIST names no folder: run these tests by `make package`")
    return Path(folder)


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


class _Installed:
    """An environment that has the wheel and what it needs, and a folder outside of the repository."""

    def __init__(self, folder: Path, requirement: str) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self._bin = folder / "env" / "bin"
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        pip: list[str | Path] = [self._bin / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run(
            [*pip, "--constraint", ROOT / "constraints.txt", requirement], check=True, cwd=self.folder
        )

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment; nothing of this process's Python is inherited."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
        return subprocess.run(
            [self._bin / words[0], *words[1:]],
            cwd=self.folder,
            env={**kept, "EXHAUSTERS_CACHE": str(cache_root()), "NO_COLOR": "1", "COLUMNS": "160"},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def plain(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> _Installed:
    """The default installation, with one sweep of the newest release."""
    installed = _Installed(tmp_path_factory.mktemp("plain"), str(wheel))
    done = installed.run(
        "exhausters", "sweep", "--target", _TARGET, "--grid", "short", "--no-work", "--out", "base"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 cells: 6 drained" in done.stdout
    return installed


@pytest.fixture(scope="module")
def with_reports(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> _Installed:
    return _Installed(tmp_path_factory.mktemp("reports"), f"{wheel}[reports]")


def _tracked(*folders: str) -> set[str]:
    done = subprocess.run(
        ["git", "-C", ROOT, "ls-files", *folders], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split("\n")) - {""}


def test_the_wheel_has_every_file_of_both_packages(wheel: Path) -> None:
    """Grids, maps, templates and scripts of the dashboard included; nothing else but its metadata."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == _tracked("exhausters", "reports")


def test_the_sdist_has_what_its_tests_need(dist: Path) -> None:
    """All that is tracked but what configures this repository."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    left_out = {".pre-commit-config.yaml"}
    assert names - {"PKG-INFO"} == _tracked() - left_out


def test_the_metadata_names_what_each_extra_brings(wheel: Path) -> None:
    """The default installation has no pandas; every extra is listed; the description is the README."""
    archive = zipfile.ZipFile(wheel)
    (name,) = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
    head, _, description = archive.read(name).decode().partition("\n\n")
    needed = [
        line.removeprefix("Requires-Dist: ") for line in head.splitlines() if line.startswith("Requires-Dist")
    ]
    assert {re.split(r"[<>]", one)[0] for one in needed if "extra ==" not in one} == {
        "packaging",
        "rich",
        "typer",
        "uv",
    }
    extras = {
        line.removeprefix("Provides-Extra: ")
        for line in head.splitlines()
        if line.startswith("Provides-Extra")
    }
    assert {"all", "asv", "fuzz", "mirror", "pytest-benchmark", "reports"} <= extras
    assert description.strip() == (ROOT / "README.md").read_text().strip()


def test_the_default_installation_measures(plain: _Installed) -> None:
    """It sweeps a release, replays a record, and exports a log; pandas is not there."""
    assert plain.run("exhausters", "--version").stdout.startswith("sglang-exhausters ")
    missing = plain.run("python", "-c", "import pandas")
    assert "ModuleNotFoundError" in missing.stderr
    again = plain.run("exhausters", "replay", "base")
    assert again.returncode == 0, again.stdout + again.stderr
    traced = plain.run("exhausters", "trace", "base", "--cells", "agents*pages=all*", "--out", "trace.json")
    assert traced.returncode == 0, traced.stdout + traced.stderr


def test_what_needs_an_extra_says_which(plain: _Installed) -> None:
    """The error names the extra, and exits with 2."""
    done = plain.run("exhausters", "gate", "base", "base")
    assert done.returncode == 2
    assert "MissingExtraError" in done.stderr
    assert "sglang-exhausters[reports]" in done.stderr


def test_every_module_can_be_imported(plain: _Installed) -> None:
    """Whatever the default installation has, but for modules of extras and of the worker, imports there."""
    code = (
        "import importlib, pkgutil, exhausters, reports\n"
        "extras = {'numpy', 'pandas', 'ruptures', 'scipy', 'tabulate', 'pypi_simple', 'requests', "
        "'requests_file', 'asv', 'asv_runner', 'pytest', 'pytest_benchmark', 'hypothesis'}\n"
        "worker = {'torch', 'sglang', 'zmq', 'transformers', 'triton'}\n"
        "for root in (exhausters, reports):\n"
        "    for found in pkgutil.walk_packages(root.__path__, root.__name__ + '.'):\n"
        "        if found.name.endswith('__main__'): continue\n"
        "        try: importlib.import_module(found.name)\n"
        "        except ModuleNotFoundError as error:\n"
        "            name = (error.name or '').partition('.')[0]\n"
        "            of_worker = found.name.startswith(('exhausters.engine.sglang', 'exhausters.observe', "
        "'exhausters.scripted', 'exhausters.conformance', 'exhausters.pressure'))\n"
        "            if not (name in extras or (name in worker and of_worker)): print(found.name, error)\n"
    )
    done = plain.run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_reports_judge_what_was_measured(plain: _Installed, with_reports: _Installed) -> None:
    """With the extra, gate and build read a sweep: a verdict, an exit code, a dashboard with its scripts."""
    sweep = plain.folder / "base"
    judged = with_reports.run("exhausters", "gate", sweep, sweep)
    assert judged.returncode in (0, 2), judged.stderr
    assert "MissingExtraError" not in judged.stderr
    assert "short" in judged.stdout or "same" in judged.stdout
    built = with_reports.run("exhausters", "build", sweep, "--out", "report")
    assert built.returncode == 0, built.stdout + built.stderr
    page = (with_reports.folder / "report" / "index.html").read_text()
    assert "uPlot" in page
    module = with_reports.run("python", "-m", "reports", "history", sweep)
    assert module.returncode == 0, module.stderr


def test_types_reach_who_uses_it(plain: _Installed) -> None:
    """A type checker sees the types of the installed package, and finds a wrong argument."""
    (plain.folder / "use.py").write_text(
        "from exhausters.targets import prepare\nprepare(3)\nreveal_type(prepare('release:0.5.23').version)\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--python-executable",
            plain.folder.parent / "env/bin/python",
            "use.py",
        ],
        cwd=plain.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'incompatible type "int"' in done.stdout, done.stdout + done.stderr
    assert 'Revealed type is "str"' in done.stdout or 'Revealed type is "builtins.str"' in done.stdout
