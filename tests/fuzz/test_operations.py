"""Scripts of operations: written, read back, and refused when they make no sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exhausters.errors import FuzzScriptError
from exhausters.fuzz.cases import Case
from exhausters.fuzz.corpus import read_corpus, write_case
from exhausters.fuzz.features import draw_engine
from exhausters.fuzz.generate import draw_scripts
from exhausters.fuzz.operations import FuzzScript
from tests.fuzz.in_process import ENGINE, script, steps, submit


@pytest.mark.parametrize("number", range(6))
def test_what_is_written_is_read_back(number: int) -> None:
    """Every drawn script and engine is the same after JSON, digest included."""
    engine = draw_engine(5, number)
    for drawn, features in draw_scripts(engine, seed=number, count=10):
        case = Case(engine=engine, script=drawn, origin="x", features=features)
        back = Case.from_json(json.loads(json.dumps(case.to_json())), origin="x")
        assert (back.engine, back.script) == (engine, drawn)
        assert back.script.digest == drawn.digest


def test_digests_tell_scripts_apart() -> None:
    """One token more is another script."""
    assert script(submit("r0", 5)).digest != script(submit("r0", 6)).digest
    assert script(submit("r0", 5), steps(1)).digest == script(submit("r0", 5), steps(1)).digest


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ({"op": "sumbit"}, "op='sumbit'"),
        ({"op": "steps"}, "steps"),
        ({"op": "steps", "count": 1, "times": 2}, "times"),
        ({"op": "abort", "rid": "r0", "stage": "asleep"}, "stage='asleep'"),
        ({"op": "pause", "mode": "abruptly"}, "mode='abruptly'"),
        ({"op": "exhaust", "leave_pages": -1}, "leave_pages"),
        ({"op": "submit", "rid": "r0", "prompt": [[1, 0]], "max_new_tokens": 1}, "length"),
    ],
)
def test_nonsense_is_named(operation: dict[str, Any], said: str) -> None:
    """An operation that makes no sense is refused with its place and its value."""
    with pytest.raises(FuzzScriptError, match="operation 1") as refused:
        FuzzScript.from_json([{"op": "resume"}, operation])
    assert said in str(refused.value)


def test_a_corpus_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    """Each file is one case; what is known about it beside does not disturb."""
    for number in (2, 1):
        case = Case(engine=ENGINE, script=script(submit("r0", number)))
        write_case(tmp_path / f"{number}.json", case, promise="liveness")
    assert [one.origin for one in read_corpus(tmp_path)] == ["1.json", "2.json"]


def test_a_broken_corpus_is_named(tmp_path: Path) -> None:
    """A folder that is missing, and a file that is no case, are errors that name them."""
    with pytest.raises(FuzzScriptError, match="nowhere"):
        read_corpus(tmp_path / "nowhere")
    (tmp_path / "odd.json").write_text("[]")
    with pytest.raises(FuzzScriptError, match=r"odd\.json"):
        read_corpus(tmp_path)
