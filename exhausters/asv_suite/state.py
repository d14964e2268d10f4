"""Which commit asv is at, from the process that installs it to those that run benchmarks."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from exhausters.errors import UsageError

__all__ = ["TargetState"]

_NAME = "exhausters-target.json"


@dataclass(frozen=True, kw_only=True)
class TargetState:
    """The commit that is installed, and the repository it is from."""

    repository: str
    commit: str

    @property
    def target(self) -> str:
        """The text of the target."""
        return f"git:{self.repository}@{self.commit}"

    def write(self, folder: Path) -> None:
        """Leave it in asv's folder for the environment.

        A file and not a variable: with `asv run --parallel` another process installs.
        """
        (folder / _NAME).write_text(json.dumps(asdict(self)) + "\n")

    @classmethod
    def read(cls) -> TargetState:
        """Return what was installed last; raises UsageError outside of an asv run of this project."""
        folder = os.environ.get("ASV_ENV_DIR", "")
        try:
            return cls(**json.loads((Path(folder) / _NAME).read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(
                f"ASV_ENV_DIR={folder!r}: no commit is installed there; start the benchmarks with `asv run`"
            ) from error
