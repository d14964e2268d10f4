"""What a scan found, told: repositories are small, and records made up."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from exhausters.errors import StoreError, UsageError
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.step_record import IDLE, StepRecord
from exhausters.scan.history import History, read_history
from exhausters.scan.imports import ImportedSet
from exhausters.scan.scan import scan
from exhausters.scan.state import SCAN, ScanFolder, scan_folder
from exhausters.scan.summary import FAILED, CommitSummary, summary_of
from exhausters.sweep.grid import load_grid
from exhausters.sweep.record import CRASHED, RunRecord
from exhausters.sweep.store import sweep_writer
from exhausters.sweep.stored_cells import load_cells
from reports.detect.config import Config
from reports.explain.scan_changes import ScanReport, pull_request, scan_report
from reports.render.scan import BEGIN, END, render_scan, scan_document, write_section
from tests.scan.made_up import CORE, IMPORTED, commit_file
from tests.sweep.samples import a_grid, a_record, a_target

_GRID = a_grid(leave_pages=["all", 64])
# Subject, number of steps (0: it crashes), Python calls per step (None: it cannot be prepared).
_STORY: list[tuple[str, int, float | None]] = [
    ("base", 5, 1000.0),
    ("Refactor (#1)", 5, 1004.0),
    ("Admit later (#2)", 9, 1004.0),
    ("Broken (#3)", 0, None),
    ('Revert "Admit later" (#4)', 5, 1004.0),
    ("Count twice (#5)", 5, 1100.0),
    ("Admit later, again (#6)", 9, 1100.0),
    ("Mend admission (#7)", 5, 1100.0),
]


@dataclass
class _StoredRuns:
    """`Runs` that write made-up records as a scan does."""

    history: History
    state: ScanFolder
    story: Mapping[str, tuple[int, float | None]]

    def run(self, commit: str) -> tuple[CommitSummary, ImportedSet]:
        imported = ImportedSet()
        imported.add(IMPORTED)
        steps, calls = self.story[commit]
        if calls is None:
            return CommitSummary(commit=commit, status=FAILED, reason="BootError: no", seconds=2.0), imported
        target = replace(a_target(), name=self.history.target(commit), commit=commit)
        records = [self._record(cell_place, steps, calls, target.name) for cell_place in range(2)]
        with sweep_writer(self.state.records_folder(commit), target=target, grid=_GRID) as writer:
            for record in records:
                writer.add(record)
            writer.finish()
        return summary_of(commit, records, 2.0), imported

    def _record(self, place: int, steps: int, calls: float, target: str) -> RunRecord:
        metrics = {"steps_to_drain": steps, "python_calls": steps * calls, "python_calls_per_step": calls}
        record = a_record(_GRID.cells[place], **metrics)
        if not steps:
            record = replace(record, result=replace(record.result, outcome=CRASHED, reason="BootError: no"))
        log = DecisionLog(tuple(StepRecord(step=step, mode=IDLE) for step in range(steps)))
        return replace(record, target=target, result=replace(record.result, log=log))


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _scanned(tmp_path_factory, _STORY)


def _scanned(tmp_path_factory: pytest.TempPathFactory, told: Sequence[tuple[str, int, float | None]]) -> Path:
    repository = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    story = {}
    for day, (subject, steps, calls) in enumerate(told, start=1):
        commit = commit_file(repository, f"python/{CORE}", str(day), day=day, message=subject)
        story[commit] = steps, calls
    history = read_history(repository, since="2026-05-02", until="main")
    out = tmp_path_factory.mktemp("scan") / "out"
    identity = {"repository": str(repository), "first": history.commits[0].id, "grid": _GRID.name}
    with scan_folder(out, identity) as state:
        scan(history, state, _StoredRuns(history, state, story))
    return out


def _copy(folder: Path, place: Path, **values: str | None) -> Path:
    """The folder, with other values in its `scan.json`; None leaves one out."""
    copy = place / f"copy_{len(list(place.iterdir()))}"
    shutil.copytree(folder, copy)
    held = {**json.loads((copy / SCAN).read_text()), **values}
    (copy / SCAN).write_text(json.dumps({name: one for name, one in held.items() if one is not None}))
    return copy


@pytest.fixture(name="report", scope="module")
def _report(folder: Path) -> ScanReport:
    return scan_report(folder, Config())


def test_each_material_change_is_told_newest_first(report: ScanReport) -> None:
    """A refactor that costs 0.4 % is none; changes of decisions and of cost are."""
    assert [one.head.subject for one in report.changes] == [
        "Mend admission (#7)",
        "Admit later, again (#6)",
        "Count twice (#5)",
        'Revert "Admit later" (#4)',
        "Admit later (#2)",
    ]
    cost = report.changes[2]
    assert (cost.differs, cost.verdict) == (False, "worse")
    assert "Python calls +9.6 %" in cost.sentence
    assert all(len(one.cells) == 2 for one in report.changes)
    assert (report.totals.scanned, report.totals.failed, report.open) == (7, 1, ())


def test_what_is_taken_back_is_named(report: ScanReport) -> None:
    """By the subject of a revert, or because it decides again as before an earlier change."""
    by_subject = {one.head.subject: one.undoes for one in report.changes}
    assert by_subject['Revert "Admit later" (#4)'].endswith("(Admit later (#2))")
    assert "decides again as before" in by_subject["Mend admission (#7)"]
    assert "(Admit later, again (#6))" in by_subject["Mend admission (#7)"]
    assert by_subject["Count twice (#5)"] == ""


def test_a_crash_is_not_as_before(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What crashes once more takes nothing back; what mends the second crash takes back that one."""
    told = [
        ("base", 5, 1000.0),
        ("Crash (#1)", 0, 1000.0),
        ("Mend (#2)", 5, 1000.0),
        ("Crash otherwise (#3)", 0, 1000.0),
        ("Mend again (#4)", 5, 1000.0),
    ]
    report = scan_report(_scanned(tmp_path_factory, told), Config())
    undone = {one.head.subject: one.undoes for one in report.changes}
    assert undone["Crash (#1)"] == undone["Crash otherwise (#3)"] == ""
    assert "(Crash (#1))" in undone["Mend (#2)"]
    assert "(Crash otherwise (#3))" in undone["Mend again (#4)"]


def test_files_are_named_below_their_sources(report: ScanReport) -> None:
    """Where the cache of this machine lies is in no document."""
    place = f"/home/somebody/.cache/exhausters/commits/{'0a' * 20}/sglang/srt/layers/x.py"
    crashed = replace(report.changes[0], sentence=f"crashed (ImportError: no name ({place}))")
    text = render_scan(replace(report, changes=(crashed,)), repository="../sglang")
    assert "(sglang/srt/layers/x.py)" in text
    assert "somebody" not in text


def test_a_change_behind_a_broken_commit_may_be_its_own(report: ScanReport) -> None:
    """The commit that could not run is named beside the one in which the change was seen."""
    revert = report.changes[3]
    assert [one.subject for one in revert.failed] == ["Broken (#3)"]
    assert [(one.subject, reason) for one, reason in report.failures] == [("Broken (#3)", "BootError: no")]


def test_the_section_has_pull_request_link_and_command(report: ScanReport) -> None:
    """And no word of where the repository lies on this machine."""
    text = render_scan(report, repository="../sglang")
    assert "pull request [5](https://github.com/sgl-project/sglang/pull/5)" in text
    head = report.changes[0].head.id
    assert f"https://github.com/sgl-project/sglang/commit/{head}" in text
    base = report.changes[0].base.id
    assert f"exhausters compare git:../sglang@{base[:10]} git:../sglang@{head[:10]} --grid " in text
    assert str(report.history.repository) not in text
    assert "8 were tried: 7 ran, 0 broke at once, 1 could not be prepared." in text
    assert "Machine time: 16 s, 2 s for each." in text


def test_commands_run_the_cells_that_were_scanned(folder: Path, tmp_path: Path) -> None:
    """A built-in grid by its name; a part of it, or a grid of a file, by the records of the same cells."""
    whole = load_grid("scan")
    known = [("scan", whole.digest, True), ("short", load_grid("short").digest, True)]
    for name, digest, is_named in (*known, ("scan", "part of it", False), (_GRID.name, _GRID.digest, False)):
        scanned = _copy(folder, tmp_path, grid=name, cells=digest)
        text = render_scan(scan_report(scanned, Config()), repository="../sglang")
        grids = set(re.findall(r"--grid (\S+) --no-host-time", text))
        assert (grids == {name}) == is_named
        if not is_named:
            assert all(load_cells(one).cells == _GRID.cells for one in grids)


@pytest.mark.parametrize("is_of_an_earlier_version", [False, True])
def test_a_report_does_not_change_with_what_is_fetched(
    folder: Path, report: ScanReport, tmp_path: Path, is_of_an_earlier_version: bool
) -> None:
    """It ends with the last commit that was to be scanned, also where the folder does not say which."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(report.history.repository), str(clone)], check=True)
    last = None if is_of_an_earlier_version else report.history.commits[-1].id
    scanned = _copy(folder, tmp_path, repository=str(clone), last=last)
    fetched = commit_file(clone, f"python/{CORE}", "more", day=20, message="Fetched (#8)")
    after = scan_report(scanned, Config())
    assert (after.history.commits, after.totals) == (report.history.commits, report.totals)
    if not is_of_an_earlier_version:
        assert scan_report(scanned, Config(), until="HEAD").history.commits[-1].id == fetched


def test_the_section_is_put_between_its_marks(report: ScanReport, tmp_path: Path) -> None:
    """Again and again; what stands around stays, and a document without marks is refused."""
    document = tmp_path / "findings.md"
    document.write_text(f"# Mine\n\n{BEGIN}\nold\n{END}\n\nEnd.\n")
    for _ in range(2):
        write_section(document, report, repository="../sglang")
    text = document.read_text()
    assert text.startswith("# Mine\n")
    assert text.endswith("\n\nEnd.\n")
    assert text.count("### 2026-05-08") == 1
    assert "old" not in text
    document.write_text("nothing")
    with pytest.raises(UsageError, match="expected the lines"):
        write_section(document, report, repository="../sglang")


def test_the_document_says_the_same(report: ScanReport) -> None:
    """As JSON, for other tools."""
    document = json.loads(scan_document(report))
    assert [one["subject"] for one in document["changes"]] == [one.head.subject for one in report.changes]
    assert document["changes"][0]["pull_request"].endswith("/7")
    assert (document["scanned"], document["machine_seconds"]) == (7, 16)


def test_what_was_not_narrowed_down_is_told(folder: Path, tmp_path: Path) -> None:
    """Of a scan that was stopped: two ends that differ, and how many commits are between them."""
    part = tmp_path / "part"
    subprocess.run(["cp", "-r", str(folder), str(part)], check=True)
    lines = (part / "commits.jsonl").read_text().splitlines()
    kept = [line for line in lines if '"steps"' not in line][:3]
    (part / "commits.jsonl").write_text("".join(f"{line}\n" for line in kept))
    report = scan_report(part, Config())
    assert sum(one.untried for one in report.open) > 0
    assert "commits between were not tried" in render_scan(report, repository="../sglang")


def test_a_folder_without_a_scan_is_refused(tmp_path: Path) -> None:
    """By name."""
    with pytest.raises(StoreError, match="holds no scan"):
        scan_report(tmp_path, Config())


@pytest.mark.parametrize(
    ("subject", "number"), [("Fix (#12) again (#34)", "34"), ("Fix #12", None), ("Fix", None)]
)
def test_the_last_number_of_a_subject_is_its_pull_request(subject: str, number: str | None) -> None:
    """Which squash merges append."""
    found = pull_request(subject)
    assert (found[0] if found else None) == number
