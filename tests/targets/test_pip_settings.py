from __future__ import annotations

import os
from pathlib import Path

import pytest

from exhausters.targets.pip_settings import pip_settings, uv_arguments, uv_environment


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine on which neither pip nor uv is configured yet."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "SSL_"))
    }
    (tmp_path / "pip.conf").write_text(
        "[global]\nfind-links =\n    /wheels\n    https://host/links\nindex-url = https://u:p@host/simple\n"
        "trusted-host = a b\n[install]\nextra-index-url = https://one/simple https://two/simple\n"
        "[download]\ntimeout = 1\n"
    )
    return clean | {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}


def test_configuration_file_reaches_uv(environ: dict[str, str]) -> None:
    """What pip itself reads from its configuration file, uv is told."""
    result = uv_environment(pip_settings(environ), environ)
    assert result["UV_FIND_LINKS"] == "/wheels,https://host/links"
    assert result["UV_DEFAULT_INDEX"] == "https://u:p@host/simple"
    assert result["UV_EXTRA_INDEX_URL"] == "https://one/simple https://two/simple"
    assert result["UV_INSECURE_HOST"] == "a b"


def test_pip_semantics_over_several_indexes(environ: dict[str, str]) -> None:
    """Several indexes are searched for the best version, as pip does, only if there are several."""
    settings = pip_settings(environ)
    assert uv_environment(settings, environ)["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    del settings["extra-index-url"]
    assert "UV_INDEX_STRATEGY" not in uv_environment(settings, environ)


def test_settings_of_other_commands_are_ignored(environ: dict[str, str]) -> None:
    """A setting for `pip download` does not change an installation."""
    assert "timeout" not in pip_settings(environ)


def test_pip_variables_win_over_the_file(environ: dict[str, str]) -> None:
    """A PIP_* variable replaces the same setting of the file, as in pip."""
    settings = pip_settings(environ | {"PIP_FIND_LINKS": "/other"})
    assert settings["find-links"] == "/other"
    assert settings["trusted-host"] == "a b"


def test_uv_variables_win(environ: dict[str, str]) -> None:
    """What the user told uv is left untouched, and pip's indexes are not mixed into it."""
    mine = {"UV_INDEX_URL": "https://mine/simple", "UV_FIND_LINKS": "/mine"}
    result = uv_environment(pip_settings(environ), environ | mine)
    assert {name: result[name] for name in mine} == mine
    assert not {"UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY"} & result.keys()


@pytest.mark.parametrize(("value", "arguments"), [("1", ["--no-index"]), ("true", ["--no-index"]), ("0", [])])
def test_no_index(value: str, arguments: list[str]) -> None:
    """pip's no-index is honoured, unless the user gave uv an index."""
    assert uv_arguments({"no-index": value}, {}) == arguments
    assert uv_arguments({"no-index": value}, {"UV_DEFAULT_INDEX": "x"}) == []


def test_certificate(tmp_path: Path) -> None:
    """pip's certificate file or folder becomes the variable that uv reads, unless it is set."""
    file = tmp_path / "ca.pem"
    file.touch()
    assert uv_environment({"cert": str(file)}, {})["SSL_CERT_FILE"] == str(file)
    assert uv_environment({"cert": str(tmp_path)}, {})["SSL_CERT_DIR"] == str(tmp_path)
    assert uv_environment({"cert": str(file)}, {"SSL_CERT_FILE": "/mine"})["SSL_CERT_FILE"] == "/mine"


def test_relative_paths_survive_the_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv runs elsewhere, so a relative folder of wheels is made absolute."""
    monkeypatch.chdir(tmp_path)
    assert uv_environment({"find-links": "wheels"}, {})["UV_FIND_LINKS"] == str(tmp_path / "wheels")


def test_nothing_configured_changes_nothing() -> None:
    """On a machine without settings uv runs with the user's environment, but may write bytecode."""
    assert uv_environment({}, {"A": "b", "PYTHONDONTWRITEBYTECODE": "1"}) == {"A": "b"}


def test_python_without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """A harness environment without pip still honours PIP_* variables."""
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert pip_settings({"PIP_INDEX_URL": "https://i"}) == {"index-url": "https://i"}
