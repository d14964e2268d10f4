"""Read results of any of the three suites into one frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from reports.errors import ForeignFileError, ResultFileError
from reports.load.asv import is_asv, load_asv
from reports.load.frame import Results, results_of
from reports.load.json_file import read_object
from reports.load.measurements import Run, Session, Skipped
from reports.load.pytest_benchmark import is_pytest_benchmark, load_pytest_benchmark
from reports.load.sweep import is_sweep, load_sweep
from reports.vocabulary import REPORT_FORMAT


def load_results(paths: Iterable[Path | str]) -> Results:
    """Return everything in the given files and folders as one tidy frame (see `reports.load.frame`).

    A folder that is not a result itself is searched. JSON files in it that no suite wrote are counted in
    `Results.skipped`; a file that is named directly is an error.

    Raises:
        TruncatedFileError, ForeignFileError, SchemaVersionError: a file that cannot be read.
        DuplicateRunError: one cell twice in one session.
        ResultFileError: the path does not exist, or holds nothing to read.
    """
    sessions: list[Session] = []
    runs: list[Run] = []
    skipped: list[Skipped] = []
    for path in map(Path, paths):
        if not path.exists():
            raise ResultFileError(f"{path}: no such file or folder")
        found = list(_find(path, skipped))
        if not found:
            raise ForeignFileError(
                f"{path}: holds no results; expected a sweep (sweep.json), a results folder of asv "
                "(benchmarks.json) or a file of pytest-benchmark"
            )
        for one in found:
            _load_one(one, sessions, runs, skipped)
    return results_of(runs, sessions, skipped)


def _load_one(path: Path, sessions: list[Session], runs: list[Run], skipped: list[Skipped]) -> None:
    if any(session.name == str(path) for session in sessions):
        skipped.append(Skipped(place=str(path), reason="named twice"))
        return
    if path.is_file():
        session, loaded = load_pytest_benchmark(path)
    elif is_sweep(path):
        session, loaded = load_sweep(path)
    else:
        session, loaded, left_out = load_asv(path)
        skipped += left_out
    sessions.append(session)
    runs += loaded


def _find(path: Path, skipped: list[Skipped]) -> Iterator[Path]:
    if path.is_file() or is_sweep(path) or is_asv(path):
        yield path
        return
    for child in sorted(path.iterdir()):
        if child.is_dir():
            yield from _find(child, skipped)
        elif child.suffix == ".json":
            document = read_object(child)
            if is_pytest_benchmark(document):
                yield child
            elif document.get("format") != REPORT_FORMAT:
                skipped.append(Skipped(place=str(child), reason="not written by any suite"))
