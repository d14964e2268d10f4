"""A cell in which head decides otherwise, explained on fake engines in this process."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from exhausters.sweep.cell import Cell
from exhausters.why import explain as module
from exhausters.why.differential import compare_profiles
from exhausters.why.explain import Explanation, explain_difference, first_differing_cell
from exhausters.why.reproducer import FILE_NAME
from exhausters.why.sides import Sides
from exhausters.why.tables import explanation_view
from tests.fakes.fake_target import fake_target
from tests.why.in_process import PlantedSides
from tests.why.test_differential import LIBRARY, MOVED_A, A, B, _profile

_BASE, _HEAD = fake_target(), replace(fake_target(), name="other")
_CELL = Cell(workload="shared_prefix:requests=6")
# Admits nobody while a request runs.
_ALONE = "if self.running.requests:\n    return False\n"


@pytest.fixture(name="sides")
def _sides(monkeypatch: pytest.MonkeyPatch) -> PlantedSides:
    found = PlantedSides("_admit", _ALONE)
    monkeypatch.setattr(module, "Sides", found)
    return found


def _text(explained: Explanation) -> str:
    out = io.StringIO()
    Console(width=200, file=out).print(explanation_view(explained))
    return out.getvalue()


@pytest.mark.usefixtures("sides")
def test_a_difference_has_a_sentence_a_profile_and_a_proven_test(tmp_path: Path) -> None:
    """The file that is written passes on base and fails on head, and all of it is told."""
    explained = explain_difference(_BASE, _HEAD, _CELL, tmp_path / "out")
    found = explained.reproducer
    assert found is not None
    assert found.is_proven
    assert explained.notes == ()
    assert tmp_path / "out" / FILE_NAME in explained.files
    assert (tmp_path / "out" / FILE_NAME).read_text() == found.text
    text = _text(explained)
    assert f"First divergence: {explained.sentence}." in text
    assert explained.profile is not None
    function = explained.profile.calls[0].head_function or explained.profile.calls[0].base_function
    assert function is not None
    assert function.name in text
    function = explained.profile.lines[0].head_function or explained.profile.lines[0].base_function
    assert function is not None
    assert function.name in text
    (line,) = [one for one in text.splitlines() if one.startswith("Reproducer: ")]
    count = len(found.reduction.trial.scenario.requests)
    assert line.startswith(f"Reproducer: {count} request")
    assert "passes on base and fails on head" in line


def test_a_test_that_head_passes_is_no_reproducer(sides: PlantedSides) -> None:
    """It is not called proven: the note and the line say that it does not tell the builds apart."""
    sides.is_mended = True
    explained = explain_difference(_BASE, _HEAD, _CELL)
    assert explained.reproducer is not None
    assert not explained.reproducer.is_proven
    assert explained.notes[0].startswith("the reproducer passes on base and passes on head")
    assert "does not tell the builds apart" in _text(explained)
    assert explained.files == ()


def test_a_difference_that_does_not_come_back_has_no_test(sides: PlantedSides) -> None:
    """The sentence stays, for it was seen; a note says why there is nothing to run."""
    sides.is_fleeting = True
    explained = explain_difference(_BASE, _HEAD, _CELL)
    assert explained.reproducer is None
    assert explained.sentence is not None
    assert explained.notes[0].startswith("no reproducer: the difference did not come back")


def test_the_first_cell_that_differs_is_chosen(sides: PlantedSides) -> None:
    """Cells before it decide the same on both builds, and none after it is run."""
    said: list[str] = []
    alone = Cell(workload="shared_prefix:requests=1")
    chosen = first_differing_cell(cast(Sides, sides), [alone, _CELL, _CELL], said.append)
    assert chosen == _CELL
    assert len(said) == 2


def _explained(**fields: Any) -> Explanation:
    given: dict[str, Any] = {
        "cell": _CELL,
        "base": "a",
        "head": "b",
        "sentence": None,
        "profile": None,
        "reproducer": None,
    }
    return Explanation(**given | fields)


def test_a_function_that_moved_has_both_its_lines() -> None:
    """Files are told below the folder they share, with the line of either build; a new one has a dash."""
    base, head = _profile((-1, A, 1)), _profile((-1, MOVED_A, 3), (0, B, 5))
    text = _text(_explained(profile=compare_profiles(base, head)))
    assert "a.py:10 → 15" in text
    assert "b.py:– → 20" in text
    assert "engine/" not in text


def test_what_the_loop_itself_calls_has_no_place() -> None:
    """Calls of no function of the engine are a row too, with dashes; they are not left out of the sum."""
    profile = compare_profiles(_profile((-1, LIBRARY, 1)), _profile((-1, LIBRARY, 4)))
    (row,) = [
        line for line in _text(_explained(profile=profile)).splitlines() if "+3.0" in line and "run" in line
    ]
    assert "–" in row


def test_nothing_to_show_is_said_in_few_words() -> None:
    """Without a profile there is no table; equal decisions are told, notes kept."""
    text = _text(_explained(notes=("no profile: why",)))
    assert "All decisions are equal." in text
    assert "note: no profile: why" in text
    assert "per step" not in text
    assert "written" not in text
