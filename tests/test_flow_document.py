"""What the documents name is there, and the walk through the code passes by every package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOW = ROOT / "docs" / "flow.md"
DOCUMENTS = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
PACKAGES = ("exhausters", "reports")
FOLDERS = (*PACKAGES, "benchmarks", "tests", "docs")
_QUOTED = re.compile(r"`([^`\n]+)`")
_FOLDER = "|".join(FOLDERS)
_PATH = re.compile(rf"(?:{_FOLDER})(?:/[\w.-]+)+/?")
_MODULE = re.compile(rf"(?:{_FOLDER})(?:\.\w+)+")


def package_folders() -> list[str]:
    """Every folder of the product that has a module, as it is written in a document."""
    found = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    return sorted(str(folder.relative_to(ROOT)) for folder in found if folder.name not in PACKAGES)


def named_places(document: Path) -> list[str]:
    """Every path and module of the project that a document writes in backticks, alone or in a command."""
    words = [
        word.rstrip(",;:") for quoted in _QUOTED.findall(document.read_text()) for word in quoted.split()
    ]
    return sorted({word for word in words if _PATH.fullmatch(word) or _MODULE.fullmatch(word)})


def exists(place: str) -> bool:
    """Whether a path is there, or a module, or a name that the last module on the way defines."""
    if "/" in place:
        return (ROOT / place).exists()
    here, *names = place.split(".")
    folder = ROOT / here
    for position, name in enumerate(names):
        if (folder / name).is_dir():
            folder = folder / name
            continue
        module = folder / f"{name}.py"
        if module.is_file():
            return all(_defines(module, rest) for rest in names[position + 1 :][:1])
        return _defines(folder / "__init__.py", name)
    return True


def _defines(module: Path, name: str) -> bool:
    return module.is_file() and re.search(rf"\b{name}\b", module.read_text()) is not None


def is_named(folder: str, text: str) -> bool:
    """Whether a document writes a folder in backticks, as a path or as a package."""
    endings = (rf"`{re.escape(folder)}/?`", rf"`{re.escape(folder.replace('/', '.'))}`")
    return any(re.search(ending, text) for ending in endings)


@pytest.mark.parametrize("folder", package_folders())
def test_the_walk_passes_by_every_package(folder: str) -> None:
    """docs/flow.md names every package of the product, so that a newcomer finds it on the way."""
    assert is_named(folder, FLOW.read_text()), f"docs/flow.md does not name `{folder}`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_places_exist(document: Path) -> None:
    """A path or module that a document names is there."""
    missing = [place for place in named_places(document) if not exists(place)]
    assert missing == []


@pytest.mark.parametrize(
    ("place", "there"),
    [
        ("exhausters/engine/api/", True),
        ("exhausters/engine/api/parts.py", True),
        ("exhausters/engine/gone.py", False),
        ("exhausters.engine.api", True),
        ("exhausters.worker.host.Host", True),
        ("exhausters.worker.gone", False),
        ("exhausters.worker.host.Gone", False),
        ("reports.load_sweep", False),
    ],
)
def test_what_is_gone_is_found(place: str, there: bool) -> None:
    """The check itself tells a place that is there from one that has moved away."""
    assert exists(place) is there
