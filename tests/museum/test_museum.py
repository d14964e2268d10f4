"""What counts as found, how a bug is put back and taken out, and what the table says."""

from __future__ import annotations

import json
import json.decoder
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmarks.museum import __main__ as command
from benchmarks.museum.exhibit import COMMITS, FORMS, PUT_BACK, Exhibit, choose, load_exhibits
from benchmarks.museum.put_back import Patch, put_back
from benchmarks.museum.run import Shown, builds_of, show
from benchmarks.museum.sight import Sighting, compare, seen
from benchmarks.museum.table import BEGIN, END, table, write_table
from exhausters.errors import BootError, UsageError
from exhausters.observe.decision_log import DecisionLog
from exhausters.sweep.record import ABORTED, CRASHED, STALLED, CellResult
from exhausters.sweep.workers import Workers
from tests.museum.samples import FINDING, a_result, an_exhibit

# Without its types, which do not know of names that are put there.
_DECODER: Any = json.decoder

_FOUND = Sighting(is_found=True, says="a batch | is marked", also=("stalled",), steps=5)
_MISSED = Sighting(is_found=False, says="silent on the broken build", also=(), steps=9)


def test_there_are_enough_exhibits_and_each_makes_sense() -> None:
    """At least twenty bugs, of each form, whose code compiles; a commit has its day."""
    exhibits = load_exhibits()
    assert len(exhibits) >= 20
    assert {one.form for one in exhibits} == set(FORMS)
    for one in exhibits:
        for patch in one.patches:
            compile(patch.code, str(one.pr), "exec")
        assert (one.fixed == "") == (one.fixed_on is None)
        assert one.days_lived is None or one.days_lived >= 0


@pytest.mark.parametrize(
    "changes",
    [
        {"detector": "full flg"},
        {"detector": "worse: everything"},
        {"form": "found"},
        {"patches": ()},
        {"form": COMMITS},
        {"builds": ("0.5.22", "0.5.23")},
    ],
)
def test_an_exhibit_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    """A word that there is not would be a bug that nothing can find."""
    with pytest.raises(UsageError, match="exhibit 7"):
        an_exhibit(**changes)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """A misspelt field, an act that there is not, two bugs of one number, a number that there is not."""
    text = """[[exhibits]]
pr = 1
title = "a"
promise = "b"
form = "releases"
builds = ["0.5.22", "0.5.23"]
detector = "crash"
shown = "c"
workload = "agents"
"""
    file = tmp_path / "a.toml"
    for more, said in (
        ("fixedon = 1", "no field fixedon"),
        ("acts = [{step = 1, do = 'stop'}]", "act 'stop'"),
        ("requests = []", "either `workload` or `requests`"),
        (text, "two exhibits"),
    ):
        file.write_text(f"{text}{more}\n")
        with pytest.raises(UsageError, match=said):
            load_exhibits(tmp_path)
    file.write_text(text)
    (one,) = load_exhibits(tmp_path)
    with pytest.raises(UsageError, match="no exhibit 2"):
        choose([one], [2])


def test_an_exhibit_that_was_edited_has_another_digest() -> None:
    """A result is of one code, cell and detector; words about it may change."""
    one = an_exhibit()
    assert one.digest == an_exhibit(title="Other words", note="More words").digest
    assert one.digest != an_exhibit(patches=(Patch(file="json/decoder.py", code="JSONDecoder = 1\n"),)).digest
    assert one.digest != an_exhibit(detector="liveness").digest
    assert one.digest != an_exhibit(sweep_steps=2).digest


def test_what_was_put_back_is_taken_out_again() -> None:
    """Names that were replaced, added or taken away are as before, in the module and in its classes."""
    decode, scanner = _DECODER.JSONDecoder.decode, _DECODER.scanner
    code = (
        "JSONDecoder.decode = lambda self, text: 'put back'\n"
        "JSONDecoder.added = 1\n"
        "added = 2\n"
        "scanner = None\n"
    )
    with put_back([Patch(file="json/decoder.py", code=code)]):
        assert json.loads("1") == "put back"
        assert _DECODER.added == 2
    assert json.loads("1") == 1
    assert _DECODER.JSONDecoder.decode is decode
    assert _DECODER.scanner is scanner
    assert not hasattr(json.decoder, "added")
    assert not hasattr(_DECODER.JSONDecoder, "added")


def test_code_that_fails_leaves_nothing_behind() -> None:
    """Half a bug is none: what was replaced before the failure is as before, and the failure is told."""
    code = "scanner = None\nraise KeyError('x')\n"
    with (
        pytest.raises(UsageError, match=r"json/decoder.py: .*KeyError"),
        put_back([Patch(file="json/decoder.py", code=code)]),
    ):
        pass
    assert _DECODER.scanner is not None
    gone = Patch(file="json/gone.py", code="")
    with pytest.raises(UsageError, match="not in this build"), put_back([gone]):
        pass


def test_found_means_that_it_fires_here_and_is_silent_there() -> None:
    """A detector that accuses the mended build too has not found the bug, nor has one that is silent."""
    broken, mended = a_result(FINDING), a_result()
    found = compare(an_exhibit(), broken, mended)
    assert (found.is_found, found.steps) == (True, 5)
    assert found.says == FINDING.saw
    assert not compare(an_exhibit(), broken, broken).is_found
    assert not compare(an_exhibit(), mended, mended).is_found
    other = compare(an_exhibit(detector="liveness"), broken, mended)
    assert (other.is_found, other.also) == (False, ("full flag",))


@pytest.mark.parametrize(
    ("outcome", "reason", "detector"),
    [
        (CRASHED, "ConservationError: step 3: 16 KV tokens leaked", "conservation"),
        (CRASHED, "SchedulerFailedError: out of pages", "crash"),
        (STALLED, "no forward", "stalled"),
        (ABORTED, "ended early", "aborted"),
    ],
)
def test_a_run_that_ends_badly_is_seen(outcome: str, reason: str, detector: str) -> None:
    """A leak is told from a crash: pools that do not add up are an error of the harness's own."""
    result = a_result(outcome=outcome, reason=reason)
    assert list(seen(result)) == [detector]
    assert compare(an_exhibit(detector=detector), result, a_result()).is_found


def test_a_metric_is_worse_in_its_own_direction() -> None:
    """Throughput is worse when it falls, retractions when they rise; equal logs show nothing."""
    longer = DecisionLog(a_result().log.steps[:-1])

    def found(name: str, now: float, before: float) -> bool:
        broken = replace(a_result(**{name: now}), log=longer)
        return compare(an_exhibit(detector=f"worse: {name}"), broken, a_result(**{name: before})).is_found

    assert found("retractions", 3, 1)
    assert not found("retractions", 1, 3)
    assert found("output_tokens_per_second", 1.0, 2.0)
    assert not found("output_tokens_per_second", 2.0, 1.0)
    one = a_result(retractions=3)
    assert not compare(an_exhibit(detector="worse: retractions"), one, a_result(retractions=1)).is_found


def test_acts_are_put_off_until_the_bug_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep ends at the first place that shows it; mended and broken runs are of the same place."""
    runs: list[tuple[int, int]] = []

    def run(exhibit: Exhibit, build: object, patches: object, put_off: int, workers: object) -> CellResult:
        runs.append((len(patches), put_off))  # type: ignore[arg-type]
        return a_result(FINDING) if patches and put_off == 2 else a_result()

    monkeypatch.setattr("benchmarks.museum.run._run", run)
    monkeypatch.setattr("benchmarks.museum.run.builds_of", lambda *given: (None, None))
    shown = show(an_exhibit(sweep_steps=9), None, None)  # type: ignore[arg-type]
    assert (shown.sighting.is_found, shown.at_step) == (True, 2)
    assert runs == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    assert Shown.from_json(json.loads(json.dumps(shown.to_json()))) == shown


def test_a_pair_of_commits_needs_a_clone() -> None:
    """The error names the exhibit and the option."""
    exhibit = an_exhibit(form=COMMITS, builds=(), patches=(), fixed="abc")
    with Workers(limit=1) as workers, pytest.raises(UsageError, match=r"exhibit 7 .*--repo"):
        builds_of(exhibit, workers, None)


def test_a_miss_stands_in_the_table() -> None:
    """The score counts misses, and a row says so; a bar in a title breaks no row."""
    one, two = an_exhibit(), an_exhibit(pr=8, title="Other", note="Nothing reads it.")
    text = table([one, two], {7: _shown(_FOUND), 8: _shown(_MISSED)})
    assert text.startswith(
        "2 bugs, 1 found (50%), 1 missed. 1 of those found accuse the broken build alone; 0 "
    )
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    assert "Fix a \\| bug" in rows[0]
    assert "| full flag | 5 |" in rows[0]
    assert "**missed**" in rows[1]
    assert "* 7: Four requests. a batch / is marked. Also: stalled." in text
    assert "silent on the broken build. Nothing reads it." in text


def test_only_the_table_is_replaced(tmp_path: Path) -> None:
    """The text around the marks stays; without marks nothing is written."""
    document = tmp_path / "page.md"
    document.write_text(f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n")
    write_table(document, [an_exhibit()], {7: _shown(_FOUND)})
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    document.write_text("no marks\n")
    with pytest.raises(UsageError, match="restore"):
        write_table(document, [an_exhibit()], {})


def test_the_command_runs_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was run is not run again, a pair of commits without a clone is left out, and the code says so."""
    ran: list[int] = []

    def ran_now(exhibit: Exhibit, *rest: object) -> Shown:
        ran.append(exhibit.pr)
        return _shown(_FOUND if exhibit.pr == 7 else _MISSED)

    monkeypatch.setattr(command, "load_exhibits", lambda: (an_exhibit(), an_exhibit(pr=8)))
    monkeypatch.setattr(command, "show", ran_now)
    document = tmp_path / "page.md"
    document.write_text(f"{BEGIN}{END}")
    codes = [_code(tmp_path, document, only=[7]), _code(tmp_path, document), _code(tmp_path, document)]
    assert ran == [7, 8]
    assert codes == [2, 1, 1]  # one was not run; all were, one is missed
    commits = an_exhibit(pr=9, form=COMMITS, builds=(), patches=(), fixed="abc")
    monkeypatch.setattr(command, "load_exhibits", lambda: (an_exhibit(), commits))
    assert _code(tmp_path, document) == 2
    assert ran == [7, 8]


def test_an_exhibit_that_cannot_be_run_is_no_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that does not boot ends one exhibit, not the command; it is counted as not run."""

    def run_or_raise(exhibit: Exhibit, *rest: object) -> Shown:
        if exhibit.pr == 7:
            raise BootError("no boot")
        return _shown(_FOUND)

    monkeypatch.setattr(command, "load_exhibits", lambda: (an_exhibit(), an_exhibit(pr=8)))
    monkeypatch.setattr(command, "show", run_or_raise)
    document = tmp_path / "page.md"
    document.write_text(f"{BEGIN}{END}")
    assert _code(tmp_path, document) == 2
    assert "1 bugs, 1 found" in document.read_text()


def _code(out: Path, document: Path, only: list[int] | None = None) -> int:
    with pytest.raises(typer.Exit) as ended:
        command.main(out=out, document=document, only=only)
    return int(ended.value.exit_code)


def _shown(sighting: Sighting) -> Shown:
    return Shown(sighting=sighting, at_step=0, seconds=1.25)


def test_what_is_put_back_says_where() -> None:
    """Every patch of an exhibit is of a file of SGLang's scheduler."""
    files = {patch.file for one in load_exhibits() if one.form == PUT_BACK for patch in one.patches}
    assert all(file.startswith("sglang/srt/") and file.endswith(".py") for file in files)
