"""What the project says about itself is the same wherever it says it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import exhausters

ROOT = Path(__file__).parents[2]
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_citation_is_of_this_version() -> None:
    """CITATION.cff has the version, the licence and the name of the package, and no person who is not one."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == exhausters.__version__
    assert citation["license"] == _PROJECT["license"]
    assert citation["title"].startswith(f"{_PROJECT['name']}:")
    assert [one["name"] for one in citation["authors"]] == [one["name"] for one in _PROJECT["authors"]]


def test_the_types_are_announced() -> None:
    """Both packages say that they are typed."""
    assert all((ROOT / package / "py.typed").is_file() for package in ("exhausters", "reports"))
    assert "Typing :: Typed" in _PROJECT["classifiers"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda p: p.stem
)
def test_forms_of_issues_are_forms(path: Path) -> None:
    """Every form has a name, a description, and fields with ids of their own."""
    form = yaml.safe_load(path.read_text())
    if path.stem == "config":
        assert set(form) <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    assert all(field["attributes"].get("label") for field in form["body"])


def test_what_the_templates_ask_for_exists() -> None:
    """Commands and chores that they name are there."""
    texts = [path.read_text() for path in (ROOT / ".github").rglob("*.*") if path.suffix in (".md", ".yml")]
    texts.append((ROOT / "SECURITY.md").read_text())
    chores = {name for text in texts for name in re.findall(r"`make ([a-z-]+)`", text)}
    assert chores
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{chore}:", makefile, re.MULTILINE) for chore in chores)


def test_the_changelog_has_each_heading_once() -> None:
    """Of a version: every entry below a heading of Keep a Changelog, and no heading twice."""
    versions = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    assert versions
    for version in versions:
        lead, *parts = re.split(r"^### ", version, flags=re.MULTILINE)
        assert not re.search(r"^- ", lead, flags=re.MULTILINE), lead
        headings = [part.partition("\n")[0] for part in parts]
        assert len(headings) == len(set(headings))
        assert set(headings) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
