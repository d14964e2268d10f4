"""Promises of the command line: verdicts, exit codes, waivers, files."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reports import Config, Waiver, compare, load_config, load_side
from reports.cli.app import app
from reports.detect.answer import NOT_DECIDED, NOTHING_WORSE, SOMETHING_WORSE
from reports.errors import ConfigError, SelectionError
from reports.explain.comparison import Comparison
from tests.reports.make import BASE, HEAD, METRICS, cells, write_pairs, write_sweep

DATA = Path(__file__).parents[1] / "data"
TODAY = date(2026, 11, 22)


def _worse_at_16(one: dict[str, object]) -> dict[str, object]:
    if one["levels"]["leave_pages"] == 16:  # type: ignore[index]
        return one | {"metrics": METRICS | {"retractions": 8900}, "decision_digest": "other"}
    return one


def _compared(tmp_path: Path, change: object, **how: object) -> Comparison:
    base = write_sweep(tmp_path / "a")
    head = write_sweep(tmp_path / "b", HEAD, change)  # type: ignore[arg-type]
    return compare(load_side(str(base)), load_side(str(head)), **how)  # type: ignore[arg-type]


def _invoke(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(one) for one in arguments], env={"NO_COLOR": "1"})
    return result.exit_code, result.output


def test_identical_sweeps_pass(tmp_path: Path) -> None:
    """Two equal sweeps are identical: exit code 0."""
    base, head = write_sweep(tmp_path / "a"), write_sweep(tmp_path / "b", HEAD)
    code, output = _invoke("gate", base, head)
    assert code == NOTHING_WORSE
    assert output.startswith("identical: decisions")
    assert "16 cells: the same decisions" in output


def test_a_real_sweep_against_itself_passes() -> None:
    """A real sweep compared with itself is the same: exit code 0."""
    code, output = _invoke("gate", DATA / "release_0.5.22", DATA / "release_0.5.22")
    assert (code, output.split(":")[0]) == (NOTHING_WORSE, "identical")


def test_a_planted_loss_fails_and_names_its_cells(tmp_path: Path) -> None:
    """More retractions at leave_pages = 16: worse, exit code 1, those cells and no others."""
    found = _compared(tmp_path, _worse_at_16)
    assert (found.decision.verdict, found.decision.exit_code) == ("worse", SOMETHING_WORSE)
    worse = found.cells.loc[found.cells["verdict"] == "worse", "cell"]
    assert set(worse) == {cell.id for cell in cells() if cell.levels.leave_pages == 16}
    assert found.headlines[0].text == "leave_pages = 16: retractions +78 %"
    assert _invoke("gate", tmp_path / "a", tmp_path / "b")[0] == SOMETHING_WORSE


def test_a_planted_gain_passes(tmp_path: Path) -> None:
    """The same the other way round is better: exit code 0."""
    base, head = write_sweep(tmp_path / "a", change=_worse_at_16), write_sweep(tmp_path / "b", HEAD)
    decision = compare(load_side(str(base)), load_side(str(head))).decision
    assert (decision.verdict, decision.exit_code) == ("better", NOTHING_WORSE)


def test_decisions_that_differ_without_an_effect_are_neutral(tmp_path: Path) -> None:
    """Another decision log with the same metrics is neutral, shown, and passes."""
    found = _compared(tmp_path, lambda one: one | {"decision_digest": "other"})
    assert (found.decision.verdict, found.decision.exit_code) == ("neutral", NOTHING_WORSE)
    assert set(found.cells["verdict"]) == {"changed"}


@pytest.mark.parametrize(
    ("base", "head", "verdict", "code"),
    [
        ("drained", "stalled", "worse", 1),
        ("stalled", "drained", "better", 0),
        ("drained", "aborted", "worse", 1),
        ("drained", "out_of_memory", "worse", 1),
        ("stalled", "stalled", "identical", 0),
        ("stalled", "aborted", "better", 0),
        ("aborted", "stalled", "worse", 1),
        ("aborted", "out_of_memory", "worse", 1),
        ("drained", "crashed", "broken", 2),
        ("crashed", "drained", "broken", 2),
        ("drained", "timeout", "broken", 2),
        ("crashed", "crashed", "broken", 2),
    ],
)
def test_outcomes(tmp_path: Path, base: str, head: str, verdict: str, code: int) -> None:
    """How a run ends is compared before any metric; what did not run is broken, never a pass."""
    ours = write_sweep(tmp_path / "a", change=lambda one: one | {"outcome": base})
    theirs = write_sweep(tmp_path / "b", HEAD, lambda one: one | {"outcome": head})
    decision = compare(load_side(str(ours)), load_side(str(theirs))).decision
    assert (decision.verdict, decision.exit_code) == (verdict, code)


def test_a_run_that_does_not_repeat_is_broken(tmp_path: Path) -> None:
    """A run whose own two passes decided differently cannot be compared with another build."""
    found = _compared(tmp_path, lambda one: one | {"provenance": one["provenance"] | {"repeatable": False}})
    assert (found.decision.verdict, found.decision.exit_code) == ("broken", NOT_DECIDED)
    assert found.broken_in == "head"
    assert "runs or passes of head decided differently" in found.decision.sentence


@pytest.mark.parametrize(
    ("first", "others", "broken_in"), [("crashed", "drained", "head"), ("crashed", "crashed", "both")]
)
def test_what_head_alone_broke_is_told(tmp_path: Path, first: str, others: str, broken_in: str) -> None:
    """Where head crashes in every cell, and base in one of them or in all."""
    cell = cells()[0].id
    ours = write_sweep(
        tmp_path / "a", change=lambda one: one | {"outcome": first if one["cell"] == cell else others}
    )
    theirs = write_sweep(tmp_path / "b", HEAD, lambda one: one | {"outcome": "crashed"})
    assert compare(load_side(str(ours)), load_side(str(theirs))).broken_in == broken_in


def test_a_waived_cell_is_not_told_as_broken(tmp_path: Path) -> None:
    """Nobody is to be asked about what is waived."""
    lost = cells()[3].id

    def differ(one: dict[str, object]) -> dict[str, object]:
        unstable = {"provenance": one["provenance"] | {"repeatable": False}}  # type: ignore[operator]
        return one | (unstable if one["cell"] == lost else {})

    assert _compared(tmp_path, differ).broken_in == "head"
    waiver = Waiver(metric="*", cells=(lost,), reason="known", expires=TODAY)
    found = _compared(tmp_path, differ, config=Config(waivers=(waiver,)), today=TODAY)
    assert found.broken_in is None


def test_metrics_of_a_stalled_run_are_not_compared(tmp_path: Path) -> None:
    """A run that stalls early has fewer steps, which is no gain."""
    found = _compared(
        tmp_path, lambda one: one | {"outcome": "stalled", "metrics": METRICS | {"steps_to_drain": 5}}
    )
    assert not (found.verdicts["metric"] == "steps_to_drain").any()
    assert found.decision.verdict == "worse"


def test_missing_cells_are_broken(tmp_path: Path) -> None:
    """A cell that head has no record of is broken: exit code 2."""
    lost = cells()[3].id
    found = _compared(tmp_path, lambda one: None if one["cell"] == lost else one)
    assert (found.decision.verdict, found.decision.exit_code) == ("broken", NOT_DECIDED)
    assert found.cells.set_index("cell").loc[lost, "head_outcome"] == "missing"
    assert "head: 1 of 16 cells left no record" in found.decision.reasons


def test_cells_missing_on_both_sides_are_no_pass(tmp_path: Path) -> None:
    """What neither side ran is found by the number of cells that the sweep promised."""
    lost = cells()[3].id
    for name, target in (("a", BASE), ("b", HEAD)):
        write_sweep(tmp_path / name, target, lambda one: None if one["cell"] == lost else one)
    assert _invoke("gate", tmp_path / "a", tmp_path / "b")[0] == NOT_DECIDED


def test_an_interrupted_sweep_is_no_pass(tmp_path: Path) -> None:
    """A sweep that did not finish cannot pass."""
    base, head = write_sweep(tmp_path / "a"), write_sweep(tmp_path / "b", HEAD, complete=False)
    assert _invoke("gate", base, head)[0] == NOT_DECIDED


def test_a_loss_outweighs_what_is_broken(tmp_path: Path) -> None:
    """Something worse beside something broken is worse: exit code 1, with both reasons."""
    lost = cells()[0].id
    found = _compared(tmp_path, lambda one: None if one["cell"] == lost else _worse_at_16(one))
    assert found.decision.exit_code == SOMETHING_WORSE
    assert any("left no record" in reason for reason in found.decision.reasons)


def _waiver(**changes: object) -> Config:
    usual = {"metric": "retractions", "cells": ("*pages=16,*",), "reason": "on purpose", "expires": TODAY}
    return Config(waivers=(Waiver(**usual | changes),))  # type: ignore[arg-type]


def test_a_waiver_covers_its_metric_in_its_cells(tmp_path: Path) -> None:
    """A waived loss passes until the end of its last day, and is shown as waived."""
    found = _compared(tmp_path, _worse_at_16, config=_waiver(), today=TODAY)
    assert found.decision.exit_code == NOTHING_WORSE
    waived = found.verdicts[found.verdicts["waived"] != ""]
    assert set(waived["verdict"]) == {"worse"}
    assert set(waived["waived"]) == {"on purpose"}


@pytest.mark.parametrize("change", [{"metric": "chunks"}, {"cells": ("agents/*",)}])
def test_a_waiver_covers_nothing_else(tmp_path: Path, change: dict[str, object]) -> None:
    """A waiver of another metric, or of only some of the cells, does not make a loss pass."""
    found = _compared(tmp_path, _worse_at_16, config=_waiver(**change), today=TODAY)
    assert found.decision.exit_code == SOMETHING_WORSE


def test_an_expired_waiver_fails(tmp_path: Path) -> None:
    """After its last day a waiver covers nothing and fails the gate even when nothing is worse."""
    yesterday = _waiver(expires=date(2026, 11, 21))
    lost = _compared(tmp_path / "x", _worse_at_16, config=yesterday, today=TODAY)
    assert lost.decision.exit_code == SOMETHING_WORSE
    clean = _compared(tmp_path / "y", lambda one: one, config=yesterday, today=TODAY)
    assert clean.decision.exit_code == NOT_DECIDED
    assert "expired on 2026-11-21" in clean.decision.reasons[0]


def test_the_configuration_is_read(tmp_path: Path) -> None:
    """Thresholds and waivers of the file reach the gate; the example of the documentation is valid."""
    text = Path(__file__).parents[3].joinpath("docs/verdicts.md").read_text()
    example = "\n".join(
        line[4:] for line in text.partition("## Configuration")[2].splitlines() if line.startswith("    ")
    )
    (tmp_path / "gate.toml").write_text(example)
    config = load_config(tmp_path / "gate.toml")
    assert config.smallest_effect == {"time_to_first_token_p99_seconds": 0.03}
    assert config.smallest_cell_effect == {"time_to_first_token_p99_seconds": 0.10}
    assert config.accepts_trade_offs
    assert config.tolerance == {"wait_steps_max": 0.02}
    assert config.waivers[0].expires == date(2027, 1, 31)
    base, head = write_sweep(tmp_path / "a"), write_sweep(tmp_path / "b", HEAD, _worse_at_16)
    (tmp_path / "wide.toml").write_text("[tolerance]\nretractions = 0.9\n")
    assert _invoke("gate", base, head, "--config", tmp_path / "wide.toml")[0] == NOTHING_WORSE


@pytest.mark.parametrize(
    "text",
    [
        "tolerances = 1",
        "[tolerance]\nchunks = 2.0",
        "[smallest_effect]\nchunks = true",
        "[[waivers]]\nmetric = 'chunks'",
        "[[waivers]]\nmetric='a'\ncells=['*']\nreason=''\nexpires=2027-01-01",
        "[[waivers]]\nmetric='a'\ncells=[]\nreason='b'\nexpires=2027-01-01",
        "[[waivers]]\nmetric='a'\ncells=['*']\nreason='b'\nexpires='2027-01-01'",
        "not toml",
    ],
)
def test_a_bad_configuration_is_an_error(tmp_path: Path, text: str) -> None:
    """A key or value that makes no sense stops the gate: a typo must not switch a waiver off, or on."""
    path = tmp_path / "gate.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"gate\.toml"):
        load_config(path)
    sweep = write_sweep(tmp_path / "a")
    assert _invoke("gate", sweep, sweep, "--config", path)[0] == NOT_DECIDED


def test_explain_names_the_rules(tmp_path: Path) -> None:
    """--explain gives one line for each workload and metric that differs, with the rule that decided."""
    write_sweep(tmp_path / "a")
    write_sweep(tmp_path / "b", HEAD, _worse_at_16)
    _, output = _invoke("gate", tmp_path / "a", tmp_path / "b", "--explain")
    flat = " ".join(output.split())
    assert "[rule: sum over 8 cells, smallest effect 10 % and 1]" in flat
    assert "never judged from single runs" in flat


def test_a_reader_that_stops_early_does_not_change_the_code(tmp_path: Path) -> None:
    """`gate … | head -1` ends with the code of the answer, and shows no traceback."""
    base, head = write_sweep(tmp_path / "a"), write_sweep(tmp_path / "b", HEAD)
    command = [sys.executable, "-m", "reports", "gate", str(base), str(head), "--explain"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait(60) == NOTHING_WORSE
    assert errors == b""


@pytest.mark.parametrize(("claim", "code"), [("refactor", 1), ("nonsense", 2)])
def test_a_claim_on_the_command_line(tmp_path: Path, claim: str, code: int) -> None:
    """--claim is held to; a word that is no claim is an error that names the claims."""
    base, head = write_sweep(tmp_path / "a"), write_sweep(tmp_path / "b", HEAD, _worse_at_16)
    found, output = _invoke("gate", base, head, "--claim", claim)
    assert found == code
    assert "refactor" in output


def test_broken_input_is_exit_code_2(tmp_path: Path) -> None:
    """A path that is not there, or no results, is reported in one line: exit code 2, no traceback."""
    code, output = _invoke("gate", tmp_path / "nowhere", tmp_path)
    assert code == NOT_DECIDED
    assert "Traceback" not in output


def test_pairs_from_the_command_line(tmp_path: Path) -> None:
    """--pairs adds paired host time to the comparison of two sweeps."""
    base, head = write_sweep(tmp_path / "a"), write_sweep(tmp_path / "b", HEAD)
    pairs = write_pairs(tmp_path / "p", cells(), pairs=12, slowdown=lambda cell: 1.3)
    code, output = _invoke("gate", base, head, "--pairs", pairs)
    assert code == SOMETHING_WORSE
    assert output.startswith("worse: CPU time per step +3")
    both = _invoke("gate", f"{pairs}@{BASE}", f"{pairs}@{HEAD}")
    assert both[0] == SOMETHING_WORSE


def test_a_build_is_chosen_by_name(tmp_path: Path) -> None:
    """PATH@BUILD picks one of several builds by target or version; no such build, or several, is an error."""
    write_sweep(tmp_path / "a")
    write_sweep(tmp_path / "b", HEAD)
    assert load_side(f"{tmp_path}@0.5.23").label == HEAD
    assert load_side(f"{tmp_path}@{BASE}").label == BASE
    with pytest.raises(SelectionError, match="more than one build"):
        load_side(str(tmp_path))
    with pytest.raises(SelectionError, match="0 builds named"):
        load_side(f"{tmp_path}@0.5.1")


def test_build_reports_on_everything_there_is(tmp_path: Path) -> None:
    """`build` compares the newest build with the one before it, and tells which sweeps it left out."""
    write_sweep(tmp_path / "old", BASE, started="2026-01-01T00:00:00+00:00")
    write_sweep(tmp_path / "a", BASE)
    write_sweep(tmp_path / "b", HEAD, _worse_at_16)
    write_sweep(tmp_path / "c", "release:0.5.20")
    write_sweep(tmp_path / "other_grid", HEAD, started="2026-01-01T00:00:00+00:00", grid_digest="other")
    out = tmp_path / "report"
    assert _invoke("build", tmp_path, "--out", out)[0] == 0
    document = json.loads((out / "report.json").read_text())
    assert (document["comparison"]["base"], document["comparison"]["head"]) == (BASE, HEAD)
    assert document["comparison"]["verdict"] == "worse"
    assert document["history"]["builds"] == ["release:0.5.20", BASE, HEAD]
    assert {change["build"] for change in document["history"]["changes"]} == {HEAD}
    assert sorted(note.rpartition("/")[2] for note in document["notes"]) == ["old", "other_grid"]
    assert (out / "report.md").exists()
    assert (out / "junit.xml").exists()
    again = _invoke("build", tmp_path, "--out", out)
    assert again[0] == 0, "a report among the results is passed by"


def test_build_of_one_build_and_of_nothing(tmp_path: Path) -> None:
    """One build is reported without a comparison; no results are exit code 2."""
    assert _invoke("build", write_sweep(tmp_path / "a"), "--out", tmp_path / "r")[0] == 0
    assert json.loads((tmp_path / "r" / "report.json").read_text())["comparison"] is None
    (tmp_path / "empty").mkdir()
    assert _invoke("build", tmp_path / "empty", "--out", tmp_path / "r")[0] == NOT_DECIDED
