"""`scan-report`: the section goes to the document or to standard output, the rest to a JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exhausters.errors import StoreError
from reports.cli.app import app
from reports.explain import scan_changes
from reports.render import scan as scan_module

_RUNNER = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200"})
_LINE = "| a | table that is longer than a terminal is wide |" * 5


@pytest.fixture(name="asked")
def _asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A report and its texts are made up; the arguments that they were made with are kept."""
    asked: list[Any] = []

    def make(folder: Path, _: Any, *, until: str | None) -> str:
        asked.append((folder.name, until))
        if folder.name == "none":
            raise StoreError("none: no scan")
        return "report"

    monkeypatch.setattr(scan_changes, "scan_report", make)
    monkeypatch.setattr(scan_module, "render_scan", lambda report, *, repository: f"{_LINE} {repository}")
    monkeypatch.setattr(scan_module, "scan_document", lambda report: '{"changes": []}')
    monkeypatch.setattr(
        scan_module,
        "write_section",
        lambda path, report, *, repository: path.write_text(f"section of {repository}"),
    )
    return asked


def test_markdown_is_printed_as_it_is(asked: list[Any]) -> None:
    """Without a document the section is on standard output, not wrapped, to be pasted."""
    result = _RUNNER.invoke(app, ["scan-report", "folder", "--repo", "clone", "--until", "v1"])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{_LINE} clone\n"
    assert asked == [("folder", "v1")]


def test_a_document_gets_the_section_instead(asked: list[Any], tmp_path: Path) -> None:
    """Then nothing is printed; the JSON is written beside it, its folder made."""
    document, json = tmp_path / "doc.md", tmp_path / "new" / "scan.json"
    result = _RUNNER.invoke(app, ["scan-report", "folder", "--document", str(document), "--json", str(json)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert document.read_text() == "section of ../sglang"
    assert json.read_text() == '{"changes": []}'
    assert asked == [("folder", None)]


@pytest.mark.usefixtures("asked")
def test_a_folder_that_holds_no_scan_is_refused(tmp_path: Path) -> None:
    """The error is shown, and no file is written or replaced."""
    document = tmp_path / "doc.md"
    document.write_text("mine")
    result = _RUNNER.invoke(app, ["scan-report", "none", "--document", str(document)])
    assert result.exit_code == 2
    assert "no scan" in result.output
    assert document.read_text() == "mine"
