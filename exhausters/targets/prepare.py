"""Prepares the target that the user named: one call, and it is ready to boot."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exhausters.errors import CacheFolderError, TargetError
from exhausters.targets.cache import Progress, cache_root
from exhausters.targets.entry_point import require_entry_point
from exhausters.targets.environments import (
    Interpreter,
    current_interpreter,
    environment_for,
    environment_key,
)
from exhausters.targets.fetch import Sources, fetch_commit, fetch_path, fetch_release
from exhausters.targets.installer import Installer
from exhausters.targets.pins import Statement, pins_for, read_statement
from exhausters.targets.target_spec import TargetSpec, parse_target

__all__ = ["PreparedTarget", "prepare"]

_VERSION_LINE = re.compile(r"^(?:__version__|version)\s*(?::[^=]+)?=\s*[^\n\"']*[\"']([^\"']+)[\"']", re.M)


@dataclass(frozen=True, kw_only=True)
class PreparedTarget:
    """An SGLang that a worker can boot. Can be pickled.

    Attributes:
        spec: what the user asked for.
        name: the spec's canonical text, such as "release:0.5.23"; of sources that no commit describes, with
            their `changes`: "path:/home/me/sglang+3f9c01b2a".
        version: the version the sources state, or "unknown" (checkouts seldom state one).
        commit: 40 hexadecimal digits, or None for releases and for folders that git does not track.
        committed: when the commit was made, in ISO 8601; empty if unknown.
        subject: first line of the commit's message; empty if unknown.
        dirty: whether the files differ from `commit`.
        changes: short digest of what differs from `commit`, or of all Python files where there is no commit;
            None for a release and for what is just as committed.
        source_dirs: what goes first on the worker's `sys.path`, in order.
        python: the interpreter to run the worker with.
        pins: the requirements of its environment, sorted; `--no-deps` marks those without dependencies.
        environment_key: equal keys share one environment.
        pycache_prefix: if not None, the worker must be started with `PYTHONPYCACHEPREFIX` set to it, so
            that no bytecode is written into the user's checkout.
        engine: the package below `exhausters.engine` that boots it.
    """

    spec: TargetSpec
    name: str
    version: str
    commit: str | None
    dirty: bool
    source_dirs: tuple[Path, ...]
    python: Path
    pins: tuple[str, ...]
    environment_key: str
    pycache_prefix: Path | None
    changes: str | None = None
    engine: str = "sglang"
    committed: str = ""
    subject: str = ""


def prepare(
    target: str | TargetSpec,
    *,
    on_progress: Progress | None = None,
    installer: Installer | None = None,
) -> PreparedTarget:
    """Return `target`, ready to boot; fetches and installs only what the cache does not hold.

    Args:
        target: a spec or its text.
        on_progress: called with one short line per slow step: fetching, building, waiting.
        installer: replaces uv, in tests.

    Raises:
        TargetSpecError: the text names no target.
        TargetNotFoundError: no such release, folder or commit.
        InstallError: the package index or uv failed.
        SeamError: the target's scheduler has no entry point for scripts.
        CacheFolderError: the cache cannot be written.
        TargetError: the target does not support this Python, or states no requirements.
    """
    spec = parse_target(target) if isinstance(target, str) else target
    with _cache_written():
        return _prepared(spec, installer, on_progress)


def _prepared(spec: TargetSpec, installer: Installer | None, on_progress: Progress | None) -> PreparedTarget:
    python = current_interpreter()
    sources = _sources(spec, python, installer, on_progress)
    statement = read_statement(sources.source_dir)
    _check_python(spec, statement, python)
    require_entry_point(spec.text, sources.source_dir)
    pins = pins_for(statement)
    return PreparedTarget(
        spec=spec,
        name=spec.text if sources.changes is None else f"{spec.text}+{sources.changes}",
        version=statement.version or _version_in(sources.source_dir),
        commit=sources.commit,
        committed=sources.head.committed,
        subject=sources.head.subject,
        dirty=sources.dirty,
        changes=sources.changes,
        source_dirs=(sources.source_dir,),
        python=environment_for(pins, python, installer=installer, on_progress=on_progress),
        pins=pins.lines(),
        environment_key=environment_key(pins, python),
        pycache_prefix=None if sources.is_ours else cache_root() / "pycache",
    )


def _sources(
    spec: TargetSpec, python: Interpreter, installer: Installer | None, on_progress: Progress | None
) -> Sources:
    if spec.kind == "release" and spec.version is not None:
        return fetch_release(spec.version, python, installer=installer, on_progress=on_progress)
    if spec.kind == "path" and spec.directory is not None:
        return fetch_path(spec.directory)
    if spec.kind == "git" and spec.directory is not None and spec.revision is not None:
        return fetch_commit(spec.directory, spec.revision, on_progress=on_progress)
    raise TargetError(f"{spec!r}: incomplete target; make specs with parse_target()")


@contextmanager
def _cache_written() -> Iterator[None]:
    """Raise CacheFolderError where the disk refuses what is written into the cache."""
    try:
        yield
    except OSError as error:
        root = cache_root()
        # A full disk has no file name; a file elsewhere is one of the target's, which is only read.
        if error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(root):
            raise
        raise CacheFolderError(
            f"{root}: the cache cannot be written ({error.strerror or error}); make room with "
            "`exhausters cache prune`, or name another folder by EXHAUSTERS_CACHE"
        ) from error


def _check_python(spec: TargetSpec, statement: Statement, python: Interpreter) -> None:
    if not statement.requires_python.contains(python.version, prereleases=True):
        raise TargetError(
            f"{spec.text}: requires Python {statement.requires_python}, the harness has {python.version}; "
            "make the harness's environment with a Python in that range"
        )


def _version_in(source_dir: Path) -> str:
    for name in ("_version.py", "version.py"):
        file = source_dir / "sglang" / name
        if file.is_file():
            match = _VERSION_LINE.search(file.read_text(encoding="utf-8", errors="replace"))
            if match is not None:
                return match[1]
    return "unknown"
