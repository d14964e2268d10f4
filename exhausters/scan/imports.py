"""Which files the workers of a scan have imported, and so which commits can change what they do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Any

from exhausters.engine.api import ImportedSources
from exhausters.scan.history import FileChange
from exhausters.sweep.plan import PlannedRun, Task
from exhausters.sweep.record import CellResult, RunRecord

_REQUIREMENTS = "pyproject.toml"
_PARTS = ("files", "absent", "elsewhere", "listed")


class ImportedSet:
    """The union of what the workers have imported, looked up in vain, and searched; grows with each build.

    What is imported changes slowly from commit to commit, and a commit that changes it touches a file that
    is imported. So the union of what some builds imported tells for all of a history which commits can
    change what a worker does: at most it names some too many.

    Attributes:
        files: imported files, relative to the source folder.
        absent: names that were found nowhere.
        elsewhere: names that came from the environment.
        listed: folders that were searched for modules.
    """

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        """Begin with what `to_json` gave, or with nothing."""
        known = values or {}
        self.files: set[str] = set(known.get("files", ()))
        self.absent: set[str] = set(known.get("absent", ()))
        self.elsewhere: set[str] = set(known.get("elsewhere", ()))
        self.listed: set[str] = set(known.get("listed", ()))
        self._modules = {_dotted(path) for path in self.files}

    def __len__(self) -> int:
        return sum(map(len, (self.files, self.absent, self.elsewhere, self.listed)))

    def add(self, sources: ImportedSources) -> None:
        """Add what one worker reports."""
        self.files.update(sources.files)
        self.absent.update(sources.absent)
        self.elsewhere.update(sources.elsewhere)
        self.listed.update(folder.strip("/") for folder in sources.listed)
        self._modules.update(map(_dotted, sources.files))

    def update(self, other: ImportedSet) -> None:
        """Add all of another set."""
        for name in _PARTS:
            getattr(self, name).update(getattr(other, name))
        self._modules.update(map(_dotted, other.files))

    def sees(self, changes: Iterable[FileChange]) -> bool:
        """Whether any of the changes can change what a worker imports; all can while nothing is known."""
        if not self.files:
            return any(change.path.endswith(".py") or change.path == _REQUIREMENTS for change in changes)
        return any(map(self._sees, changes))

    def _sees(self, change: FileChange) -> bool:
        # It says which packages a worker's environment has (`exhausters.targets.pins`).
        if change.path in self.files or change.path == _REQUIREMENTS:
            return True
        if change.status == "M":
            return False
        *folders, name = change.path.split("/")
        below = ["/".join(folders[:depth]) for depth in range(1, len(folders) + 1)]
        if any(folder in self.listed for folder in below):
            return True
        names = {folder.replace("/", ".") for folder in below}
        if name.endswith(".py"):
            module = _dotted(change.path)
            # A package beside a module of its name is found first.
            if module in self._modules or module in self.elsewhere:
                return True
            names.add(module)
        return not self.absent.isdisjoint(names)

    def to_json(self) -> dict[str, list[str]]:
        """Return the set in plain values."""
        return {name: sorted(getattr(self, name)) for name in _PARTS}


class ImportsSeen:
    """Stands where an executor has a cache of results: finds none, and notes what workers have imported."""

    def __init__(self) -> None:
        self.imported = ImportedSet()
        self._lock = Lock()

    def split(self, tasks: Sequence[Task]) -> tuple[list[RunRecord], list[Task]]:
        """No result is known."""
        return [], list(tasks)

    def keep(self, run: PlannedRun, result: CellResult, sources: ImportedSources) -> None:
        """Note the imports; called on the threads of an executor."""
        with self._lock:
            self.imported.add(sources)

    def confirm(self, record: RunRecord) -> None:
        """Nothing was found, so nothing is to be confirmed."""

    def prune(self) -> None:
        """Nothing is kept."""


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
