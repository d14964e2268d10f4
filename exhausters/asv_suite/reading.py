"""Reads a value of the suite in asv's own process.

asv starts a process for each (benchmark, point of the grid). What these benchmarks do is look one number up
in the sweep that `setup_cache` has left, in microseconds, and a grid has thousands of them. Only functions
marked `reads_sweep` run here; everything else gets a process, as usual in asv.
"""

from __future__ import annotations

import io
import json
import pickle
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from asv.runner import BENCHMARK_RUN_SCRIPT
from asv_runner.discovery import get_benchmark_from_name

__all__ = ["READS_SWEEP", "ReadCommand", "parse_read_command"]

# Name of the attribute that marks a benchmark which only looks up a value.
READS_SWEEP = "reads_sweep"
# What asv writes where it wants no profile.
_NO_PROFILE = "None"
# Where asv leaves what `setup_cache` returned.
_CACHE = "cache.pickle"


@dataclass(frozen=True, kw_only=True)
class ReadCommand:
    """asv's command for one value: which benchmark, at which point, and the file that the value goes to."""

    benchmark: Any
    point: int
    file: Path

    def run(self, folder: Path) -> tuple[str, str, int]:
        """Do what the process would do, and return what asv gets of one: output, empty text, exit code.

        Args:
            folder: where `setup_cache` left its result.
        """
        output = io.StringIO()
        with redirect_stdout(output), redirect_stderr(output):
            try:
                self.file.write_text(json.dumps(self._value(folder)))
                code = 0
            except Exception:
                traceback.print_exc()
                code = 1
        return output.getvalue(), "", code

    def _value(self, folder: Path) -> Any:
        self.benchmark.set_cache(_load(folder / _CACHE))
        self.benchmark.set_param_idx(self.point)
        return self.benchmark.do_run()


def parse_read_command(command: Sequence[str]) -> ReadCommand | None:
    """Return what asv would start a process for, if it is a value to look up; None for all else.

    The form of the command is that of asv 0.6's `Spawner.run`: script, `run`, folder of the benchmarks,
    `NAME-POINT`, options, file for the profile, file for the result.
    """
    if len(command) != 7 or command[:2] != [BENCHMARK_RUN_SCRIPT, "run"]:
        return None
    _, _, folder, identity, _, profile, file = command
    name, _, point = identity.partition("-")
    benchmark = _benchmark(folder, name)
    if profile != _NO_PROFILE or not point.isdecimal() or not getattr(benchmark.func, READS_SWEEP, False):
        return None
    return ReadCommand(benchmark=benchmark, point=int(point), file=Path(file))


@cache
def _benchmark(folder: str, name: str) -> Any:
    # Otherwise asv would look up the benchmark and its source code for every value.
    return get_benchmark_from_name(folder, name)


@lru_cache(maxsize=1)
def _load(file: Path) -> Any:
    # asv makes a new folder for every set-up, so a path names one content.
    return pickle.loads(file.read_bytes())
