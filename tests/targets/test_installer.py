from __future__ import annotations

import sys
from pathlib import Path

import pytest

from exhausters.errors import InstallError
from exhausters.targets import installer as installer_module
from exhausters.targets.installer import UvInstaller, run_uv, scrubbed


@pytest.fixture
def uv_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replaces uv by a script that logs its arguments and environment, and fails if asked to."""
    log = tmp_path / "uv.log"
    script = tmp_path / "uv"
    script.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\nenv >> {log}\n'
        'case "$*" in *broken*) echo "no answer from https://me:secret@host/simple" >&2; exit 2;; esac\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(installer_module, "_uv_binary", lambda: str(script))
    return log


def test_install(uv_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv compiles to bytecode, sees pip's folder of wheels, and installs only what was asked for."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "/some/wheels")
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    UvInstaller().install(["a==1"], python=Path("/p"), with_dependencies=False, folder=tmp_path)
    log = uv_log.read_text().splitlines()
    assert log[0].startswith("pip install --compile-bytecode --python /p --no-deps --target ")
    assert log[0].endswith("-- a==1")
    assert "UV_FIND_LINKS=/some/wheels" in log
    assert not any(line.startswith("PYTHONDONTWRITEBYTECODE=") for line in log)


def test_failure_carries_output_without_passwords(uv_log: Path, tmp_path: Path) -> None:
    """A failed installation shows uv's own words, the command and no password."""
    with pytest.raises(InstallError) as caught:
        UvInstaller().install(["broken"], python=Path("/p"), folder=tmp_path)
    message = str(caught.value)
    assert "no answer from https://***@host/simple" in message
    assert "exit code 2" in message
    assert "secret" not in message


def test_scrubbed() -> None:
    """Only the credentials of a URL are hidden; the rest stays readable."""
    text = "https://u:p@h/x https://h/y@1 file:///z"
    assert scrubbed(text) == "https://***@h/x https://h/y@1 file:///z"


def test_real_uv_makes_an_environment(tmp_path: Path) -> None:
    """The harness's own uv accepts the options used to create and list an environment."""
    folder = tmp_path / "environment"
    folder.mkdir()
    UvInstaller().create_environment(folder, python=Path(sys.executable))
    assert UvInstaller().installed(python=folder / "bin" / "python") == ()


def test_uv_for_chores(uv_log: Path) -> None:
    """`python -m exhausters.targets` hands its arguments to uv and its exit code back."""
    assert run_uv(["pip", "compile"]) == 0
    assert run_uv(["broken"]) == 2
    assert "pip compile" in uv_log.read_text().splitlines()
