"""Exact results of earlier runs, for builds whose imported files, environment and harness are the same.

    $EXHAUSTERS_CACHE/results/sources/DIGEST.json.gz    which files a run imported
    $EXHAUSTERS_CACHE/results/runs/KEY/DIGEST.json.gz   its record, by `cache_key` and those files

Several processes may write at once: files are written beside their place and renamed.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import random
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

from exhausters.engine.api import ImportedSources
from exhausters.errors import CacheError, LogFormatError, StoreError
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.metrics import HOST, METRICS
from exhausters.observe.run_facts import RunFacts
from exhausters.sweep.cache_key import cache_key
from exhausters.sweep.plan import PlannedRun, Task
from exhausters.sweep.record import ABORTED, CACHED_FROM, DRAINED, STALLED, CellResult, RunRecord
from exhausters.sweep.run_options import LINES
from exhausters.sweep.same_result import differences
from exhausters.sweep.same_sources import SourceTree
from exhausters.targets import PreparedTarget
from exhausters.targets.cache import cache_root

# Oldest entries are deleted beyond this.
LIMIT_BYTES = 2_000_000_000
# What a scheduler did, as opposed to what befell its process.
_EXACT_OUTCOMES = (DRAINED, STALLED, ABORTED)
_ENDING = ".json.gz"
# Target and cell of a run.
_Name = tuple[str, str]


class ResultCache:
    """Looks results up before anything is booted, and keeps those of runs; shared by threads.

    Args:
        folder: where it is; by default in the cache of this project.
        verify: of the results that are found, run this many again, chosen at random; they must agree.
        limit_bytes: size beyond which `prune` deletes.
    """

    def __init__(
        self, folder: Path | None = None, *, verify: int = 0, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._folder = folder or cache_root() / "results"
        self._verify = verify
        self._limit_bytes = limit_bytes
        self._lock = Lock()
        self._trees: dict[Path, SourceTree] = {}
        self._sources: dict[str, ImportedSources | None] = {}
        self._same: dict[tuple[Path, str], bool] = {}
        self._to_confirm: dict[_Name, RunRecord] = {}

    def split(self, tasks: Sequence[Task]) -> tuple[list[RunRecord], list[Task]]:
        """Return records for the runs that are cached, and the tasks without those runs."""
        found: dict[_Name, RunRecord] = {}
        for run in (run for task in tasks for run in task.runs):
            record = self.find(run)
            if record is not None:
                found[_name(record)] = record
        for name in random.SystemRandom().sample(list(found), min(self._verify, len(found))):
            self._to_confirm[name] = found.pop(name)
        left = (tuple(run for run in task.runs if _name(run) not in found) for task in tasks)
        return list(found.values()), [Task(runs=runs) for runs in left if runs]

    def find(self, run: PlannedRun) -> RunRecord | None:
        """Return the record of a run that was given the same and imported the same files, if there is one."""
        folder = _source_dir(run)
        if folder is None:
            return None
        try:
            entries = sorted((self._runs / cache_key(run)).glob(f"*{_ENDING}"), key=_modified, reverse=True)
        except OSError:
            return None
        for entry in entries:
            if self._has(folder, entry.name.removesuffix(_ENDING)) and (record := _read(entry, run)):
                return record
        return None

    def keep(self, run: PlannedRun, result: CellResult, sources: ImportedSources) -> None:
        """Keep the exact part of a result; nothing where that is not exact, or its files are not known."""
        folder = _source_dir(run)
        is_exact = result.outcome in _EXACT_OUTCOMES and result.provenance.get("repeatable") is not False
        if folder is None or not is_exact or not sources.files:
            return
        content = json.dumps(asdict(sources), sort_keys=True).encode()
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            if self._sources.get(digest) is None:  # unknown, or what was stored of it was broken
                self._sources[digest] = sources
                self._same.pop((folder, digest), None)
        # Files that were changed after the worker had imported them are not what it ran.
        if not self._has(folder, digest):
            return
        _write(self._folder / "sources" / f"{digest}{_ENDING}", content)
        entry = json.dumps(_values(run.target, result)).encode()
        _write(self._runs / cache_key(run) / f"{digest}{_ENDING}", entry)

    def confirm(self, record: RunRecord) -> None:
        """Compare a record with the cached one that it was run again for.

        Raises:
            CacheError: they differ; says in what. The cached one was wrong.
        """
        cached = self._to_confirm.pop(_name(record), None)
        if cached is None:
            return
        found = differences(cached.result, record.result)
        if found:
            origin = cached.result.provenance[CACHED_FROM]
            raise CacheError(
                f"{record.cell.id} of {record.target}: the cached result, measured on {origin}, is not what "
                f"a run gives: {'; '.join(found)}. Delete {self._folder}, use --no-cache, and report it"
            )

    def prune(self) -> None:
        """Delete what was written longest ago, until all of it is within the limit."""
        files = sorted(self._folder.rglob(f"*{_ENDING}"), key=_modified, reverse=True)
        total_bytes = 0
        for path in files:
            try:
                total_bytes += path.stat().st_size
                if total_bytes > self._limit_bytes:
                    path.unlink()
            except OSError:  # another process prunes, too, or the folder is read-only
                continue

    @property
    def _runs(self) -> Path:
        return self._folder / "runs"

    def _has(self, folder: Path, digest: str) -> bool:
        with self._lock:
            if (folder, digest) not in self._same:
                sources = self._sources_of(digest)
                tree = self._trees.setdefault(folder, SourceTree(folder))
                self._same[folder, digest] = sources is not None and tree.has(sources)
            return self._same[folder, digest]

    def _sources_of(self, digest: str) -> ImportedSources | None:
        if digest not in self._sources:
            values = _load(self._folder / "sources" / f"{digest}{_ENDING}")
            self._sources[digest] = None if values is None else _sources(values)
        return self._sources[digest]


def is_cached(record: RunRecord) -> bool:
    """Whether a record is of an earlier run."""
    return CACHED_FROM in record.result.provenance


def _source_dir(run: PlannedRun) -> Path | None:
    """The folder of the target's files, unless results of this run cannot be cached."""
    is_plain = run.clock == "virtual" and run.round is None and not run.is_warm_up
    # Executed lines are not kept.
    if not is_plain or LINES in run.options.wanted_passes or len(run.target.source_dirs) != 1:
        return None
    return run.target.source_dirs[0]


def _name(run: PlannedRun | RunRecord) -> _Name:
    return run.target if isinstance(run.target, str) else run.target.name, run.cell.id


def _values(target: PreparedTarget, result: CellResult) -> dict[str, Any]:
    commit = "" if target.commit is None or target.commit in target.name else f" (commit {target.commit})"
    facts = result.facts
    return {
        "outcome": result.outcome,
        "reason": result.reason,
        "log": result.log.to_text(),
        "log_digest": result.log.digest,
        "facts": None if facts is None else base64.b64encode(facts.to_bytes()).decode(),
        "metrics": {name: one for name, one in result.metrics.items() if _kind(name) != HOST},
        "provenance": {**result.provenance, CACHED_FROM: f"{target.name}{commit}"},
    }


def _read(entry: Path, run: PlannedRun) -> RunRecord | None:
    values = _load(entry)
    if values is None:
        return None
    try:
        log = DecisionLog.from_text(values["log"])
        if log.digest != values["log_digest"]:
            raise StoreError(f"{entry}: the log has another digest")
        facts = None if values["facts"] is None else RunFacts.from_bytes(base64.b64decode(values["facts"]))
        result = CellResult(
            outcome=values["outcome"],
            reason=values["reason"],
            log=log,
            metrics=values["metrics"],
            provenance=values["provenance"],
            facts=facts,
        )
    except (KeyError, TypeError, ValueError, LogFormatError, StoreError):
        return None  # it is run again, and then written anew
    return RunRecord(cell=run.cell, target=run.target.name, result=result)


def _load(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError, zlib.error):
        return None  # pruned, or broken: a result that is not there
    return values if isinstance(values, dict) else None


def _sources(values: dict[str, Any]) -> ImportedSources:
    return ImportedSources(
        files=values["files"],
        absent=tuple(values["absent"]),
        elsewhere=tuple(values["elsewhere"]),
        listed={folder: tuple(names) for folder, names in values["listed"].items()},
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}-{random.getrandbits(32):08x}")
    try:
        scratch.write_bytes(gzip.compress(content, compresslevel=6, mtime=0))
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _kind(metric: str) -> str:
    return METRICS[metric].kind if metric in METRICS else HOST


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
