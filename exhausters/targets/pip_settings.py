"""pip's settings, translated into uv's variables.

uv reads no pip configuration, so on a machine whose pip is configured (a mirror, a folder of wheels, a
private certificate) uv would find nothing. Everything here becomes an environment variable of uv's own,
which also keeps passwords in URLs out of the process list. A variable that the user set wins. The names on
pip's side are those of `pip config list`; on uv's side those of uv's "Environment variables" page.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["pip_settings", "uv_arguments", "uv_environment"]

# Sections that `pip install` reads, weakest first; PIP_* variables come after them all.
_SECTIONS = ("global", "install")
_LINE = re.compile(r"(?P<section>[\w-]+)\.(?P<key>[\w-]+)=(?P<value>.*)")
_TRUE = {"1", "true", "t", "yes", "y", "on"}

# If any of these is set, the user has chosen uv's indexes.
_INDEX_VARIABLES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")


def pip_settings(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return pip's settings, keys as in `find-links`: its configuration files, then `PIP_*` on top.

    A Python without pip has no configuration files to honour; the variables still count.
    """
    environ = os.environ if environ is None else environ
    settings = _parse_config_list(_config_list(environ))
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            settings[_key(name[len("PIP_") :])] = value
    return settings


def uv_environment(settings: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment to run uv in: `environ`, plus what only `settings` sets.

    `PYTHONDONTWRITEBYTECODE` is dropped: imports of an environment without bytecode take three times
    as long.
    """
    result = {name: value for name, value in environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    given: dict[str, str] = {}
    if find_links := settings.get("find-links"):
        given["UV_FIND_LINKS"] = ",".join(_absolute(link) for link in find_links.split())
    if not any(environ.get(name) for name in _INDEX_VARIABLES):
        given |= _index_variables(settings)
    if trusted := settings.get("trusted-host"):
        given["UV_INSECURE_HOST"] = " ".join(trusted.split())
    if certificate := settings.get("cert"):
        kind = "SSL_CERT_DIR" if Path(certificate).is_dir() else "SSL_CERT_FILE"
        given[kind] = _absolute(certificate)
    if timeout := settings.get("timeout") or settings.get("default-timeout"):
        given["UV_HTTP_TIMEOUT"] = str(round(float(timeout)))
    if proxy := settings.get("proxy"):
        given |= {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}
    for name, value in given.items():
        if not result.get(name):
            result[name] = value
    return result


def uv_arguments(settings: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """Return the arguments of `uv pip install` for settings that uv has no variable for."""
    no_index = settings.get("no-index", "").strip().lower() in _TRUE
    indexes_are_chosen = any(environ.get(name) for name in _INDEX_VARIABLES)
    return ["--no-index"] if no_index and not indexes_are_chosen else []


def _index_variables(settings: Mapping[str, str]) -> dict[str, str]:
    variables: dict[str, str] = {}
    if index := settings.get("index-url"):
        variables["UV_DEFAULT_INDEX"] = index.strip()
    if extra := settings.get("extra-index-url"):
        variables["UV_EXTRA_INDEX_URL"] = " ".join(extra.split())
        # pip takes the best version of all indexes; uv by default that of the first that knows the name.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def _config_list(environ: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "pip", "config", "list"]
    try:
        done = subprocess.run(
            command,
            env={**environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _parse_config_list(text: str) -> dict[str, str]:
    """Return the settings in lines like `global.find-links='/a /b'`; other lines are ignored."""
    by_section: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is None or match["section"] not in by_section:
            continue
        by_section[match["section"]][_key(match["key"])] = _unquoted(match["value"])
    return {key: value for section in _SECTIONS for key, value in by_section[section].items()}


def _unquoted(text: str) -> str:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    return str(value).strip()


def _key(name: str) -> str:
    return name.lower().replace("_", "-")


def _absolute(place: str) -> str:
    # uv runs in the cache folder, where a relative path would mean another place.
    return place if "://" in place or os.path.isabs(place) else os.path.abspath(os.path.expanduser(place))
