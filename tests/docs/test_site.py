"""The site of the documents: every page is in its navigation, every link leads somewhere."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from exhausters.cli.app import app
from tests import test_public_surface
from tests.docs.check_command import fault_of
from tests.docs.pages import ROOT, Command, blocks_of

_DOCS = ROOT / "docs"
# Pages that `docs/site/` makes.
_MADE = {"index.md", "contributing.md", "changelog.md", "commands.md"}
_WORKFLOW = _DOCS / "examples" / "github_workflow.yml"


@pytest.fixture(name="site", scope="module")
def _site() -> Iterator[Any]:
    """Imports a module of `docs/site/`, which is no package: mkdocs loads it from its folder."""
    folder = str(_DOCS / "site")
    sys.path.insert(0, folder)
    yield importlib.import_module
    sys.path.remove(folder)


def _in_navigation(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, list):
        for one in entry:
            yield from _in_navigation(one)
    elif isinstance(entry, dict):
        yield from _in_navigation(list(entry.values()))


def test_every_page_is_in_the_navigation() -> None:
    """Each page of docs/ is in the navigation of mkdocs.yml once, and nothing else is but what is made."""
    navigation = list(_in_navigation(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    pages = {str(path.relative_to(_DOCS)) for path in _DOCS.rglob("*.md")}
    assert sorted(navigation) == sorted(pages | _MADE)


def test_the_readme_leads_to_every_page() -> None:
    """README.md, the first page of the site as well, links each page of docs/, and says how to build them."""
    text = (ROOT / "README.md").read_text()
    pages = {str(path.relative_to(ROOT)) for path in _DOCS.rglob("*.md")}
    assert pages - set(re.findall(r"\]\(([\w/.-]+)", text)) == set()
    assert "`make docs`" in text


def test_what_is_public_is_in_the_reference() -> None:
    """Each package and module whose names change only on purpose has its place in docs/reference/."""
    named = {
        line.removeprefix("::: ")
        for page in (_DOCS / "reference").glob("*.md")
        for line in page.read_text().splitlines()
        if line.startswith("::: ")
    }
    public = {*test_public_surface._ALL, *test_public_surface._DEFINED}
    assert public <= named
    for module in named:
        importlib.import_module(module)


def test_the_page_of_commands_has_all_options(site: Any) -> None:
    """The page that is made from the command line has each command and each option of it."""
    made: ModuleType = site("commands_page")
    text = made.commands_page()
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.replace("_", "-")
        assert f"\n## {name}\n" in text
    assert "\n## cache prune\n" in text
    assert "`--host-time / --no-host-time`" in text
    assert "`BASE`" in text


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("index.md", "docs/check.md#the-promises", "check.md#the-promises"),
        ("index.md", "CONTRIBUTING.md", "contributing.md"),
        ("check.md", "../README.md#your-own-script", "index.md#your-own-script"),
        ("howto/script.md", "../pytest_plugin.md", "../pytest_plugin.md"),
        ("check.md", "https://example.org/x", "https://example.org/x"),
        ("check.md", "#rules", "#rules"),
        (
            "dashboard.md",
            "../reports/dashboard/static/uplot/README.md",
            "repository/reports/dashboard/static/uplot/README.md",
        ),
    ],
)
def test_links_of_the_repository_hold_in_the_site(site: Any, page: str, link: str, expected: str) -> None:
    """A link that is relative to a file of the repository leads to the same in the site."""
    relinker = site("page_links").Relinker(ROOT)
    assert relinker.relinked(f"see [it]({link}).", uri=page) == f"see [it]({expected})."


def test_code_is_no_link(site: Any) -> None:
    """What looks like a link within a block of code stays as it is."""
    text = "```python\nrows[0](docs/x.md)\n```\n"
    assert site("page_links").Relinker(ROOT).relinked(text, uri="check.md") == text


def test_dead_links_are_found(site: Any, tmp_path: Path) -> None:
    """A link to no file or anchor, and what would be loaded from elsewhere, are told; nothing else is."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top"></h1><a href="sub/page.html#there">a</a><a href="#top">b</a><a href="gone.html">c</a>'
        '<a href="sub/page.html#gone">d</a><a href="https://example.org">e</a>'
        '<script src="https://example.org/x.js"></script>'
    )
    (tmp_path / "sub" / "page.html").write_text(
        '<h2 id="there"></h2><a href="../index.html">a</a><a href="/">b</a>'
    )
    assert site("dead_links").dead_links(tmp_path) == [
        "index.html: loads https://example.org/x.js",
        "index.html: dead link gone.html",
        "index.html: dead link sub/page.html#gone: the page has no such anchor",
    ]


def test_the_ready_workflow_is_the_one_that_is_explained() -> None:
    """The page on gating a CI shows steps of the file that is to be copied, and its commands exist."""
    text = _WORKFLOW.read_text()
    shown = [one for one in blocks_of(_DOCS / "howto" / "ci_gate.md") if one.language == "yaml"]
    assert len(shown) == 1
    assert shown[0].text.strip("\n") in "\n".join(line.removeprefix("      ") for line in text.splitlines())
    steps = yaml.safe_load(text)["jobs"]["gate"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    commands = [
        line.strip().partition(" || code")[0]
        for run in runs
        for line in run.replace("\\\n", " ").splitlines()
    ]
    checked = [line for line in commands if line.startswith(("harness/", "make "))]
    assert len(checked) == 2
    assert [fault_of(Command(text=line, output=(), place="workflow")) for line in checked] == [None, None]
