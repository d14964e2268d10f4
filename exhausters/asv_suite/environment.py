"""asv's environments, made of targets: an asv plugin, named in `plugins` of asv.conf.json.

asv would make a virtual environment, check every commit out and install it there with pip. Here a commit
becomes a target as everywhere else: its `python/` folder is exported once into the cache, and the worker
runs in the cached environment that holds the commit's own pins. Commits with the same pins share one, so
moving from one to the next installs nothing. Benchmarks run in the harness's environment, or in asv's own
process if they only look up a value (see reading.py); they never import SGLang.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from asv import environment, util
from asv.console import log

from exhausters.asv_suite.reading import parse_read_command
from exhausters.asv_suite.state import TargetState
from exhausters.asv_suite.suite_grid import fix_grid_path, grid_label, suite_grid
from exhausters.errors import ExhaustersError
from exhausters.targets import prepare

_THIS_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


class TargetEnvironment(environment.Environment):
    """One commit after another, each as a target; `environment_type` is `exhausters`."""

    tool_name = "exhausters"

    def __init__(self, conf: Any, python: str, requirements: Any, tagged_env_vars: Any) -> None:
        if python != _THIS_PYTHON:
            # The harness and its workers share one interpreter version; see targets/environments.py.
            raise environment.EnvironmentUnavailable(
                f"python {python}: the harness runs on {_THIS_PYTHON}; leave `pythons` out of asv.conf.json"
            )
        # asv keeps a mirror of a repository that is not a local folder below the project's name.
        self._repository = Path(conf.repo if os.path.isdir(conf.repo) else conf.project).absolute()
        if "://" not in conf.repo and not os.path.isdir(conf.repo):
            raise util.UserError(
                f"repo {conf.repo}: no repository there; make it with `exhausters mirror --into {conf.repo}`"
            )
        fix_grid_path()
        # asv's own constructor reads these before it sets them.
        self._python, self._requirements = python, requirements
        super().__init__(conf, python, requirements, tagged_env_vars)

    @property
    def name(self) -> str:
        """Name of asv's result files; with the grid in it, so that no grid replaces another's results."""
        return f"{super().name}-{grid_label(suite_grid())}"

    @classmethod
    def matches(cls, python: str) -> bool:
        """Return whether environments can be made for this version of Python."""
        return python == _THIS_PYTHON

    def check_presence(self) -> bool:
        """Return whether the folder for asv's own notes is there."""
        return (Path(self._path) / "asv-env-info.json").is_file()

    def _setup(self) -> None:
        Path(self._path).mkdir(parents=True, exist_ok=True)

    @property
    def installed_commit_hash(self) -> None:
        """None: naming a commit costs nothing when its target is cached, so asv may always do it."""
        return None

    def install_project(self, conf: Any, repo: Any, commit_hash: str) -> None:
        """Prepare the commit's target; a failure is reported now, and recorded as broken later."""
        self._set_commit_hash(commit_hash)
        state = TargetState(repository=str(self._repository), commit=commit_hash)
        state.write(Path(self._path))
        try:
            prepare(state.target, on_progress=log.info)
        except ExhaustersError as error:
            log.warning(f"{state.target}: {error}")

    def find_executable(self, executable: str) -> str:
        """Return the harness's own Python for `python`; nothing else is ever run."""
        if executable == "python":
            return sys.executable
        raise OSError(f"{executable}: environments of this kind have a python only")

    def run(self, args: list[str], **kwargs: Any) -> Any:
        """Run the harness's Python with asv's variables, or look up a swept value without one."""
        command = parse_read_command(args)
        if command is not None:
            return command.run(Path(kwargs["cwd"]))
        log.debug(f"Running '{' '.join(args)}' in {self.name}")
        return self.run_executable("python", args, **kwargs)
