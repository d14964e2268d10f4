"""Promises of everything that is shown or written."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from reports import compare, load_side, report_document
from reports.detect.thresholds import GITHUB_COMMENT_LIMIT
from reports.explain.comparison import Comparison
from reports.explain.summary import reproduce_command
from reports.load.load_results import load_results
from reports.render.escape import code, markdown_text
from reports.render.json_answer import answer_document
from reports.render.json_report import to_json
from reports.render.junit import render_junit
from reports.render.markdown import render_markdown
from reports.render.terminal import print_comparison
from tests.reports.make import HEAD, METRICS, cells, write_sweep

DATA = Path(__file__).parents[1] / "data"
HOSTILE = (
    "<script>alert(1)</script> </details> [x](http://evil) ![i](http://evil) `code` **b** | a | "
    "www.evil.com @everyone #1 &lt; \x1b[31m \x00 \u202e \n\n# heading\n```\n"
)


def _worse(one: dict[str, object]) -> dict[str, object]:
    return one | {"metrics": METRICS | {"retractions": 6900}, "decision_digest": "other"}


def _hostile(tmp_path: Path, *, length: int = 1, copies: int = 1) -> Comparison:
    """Workload names, reasons and builds that would like to be markup."""

    def named(one: dict[str, object]) -> dict[str, object]:
        return one | {"cell": f"{one['cell']}{HOSTILE * length}"}

    def broken(one: dict[str, object]) -> dict[str, object]:
        return _worse(named(one)) | (
            {"outcome": "crashed", "reason": HOSTILE} if one["levels"]["leave_pages"] == 16 else {}  # type: ignore[index]
        )

    grid = cells(pages=range(16, 16 + 8 * copies))
    base = write_sweep(tmp_path / "a", HOSTILE, named, grid=grid)
    head = write_sweep(tmp_path / "b", HOSTILE + "head", broken, grid=grid)
    return compare(load_side(str(base)), load_side(str(head)))


@pytest.fixture(scope="module")
def real() -> Comparison:
    return compare(load_side(str(DATA / "release_0.5.22")), load_side(str(DATA / "release_0.5.23")))


def test_markdown_begins_with_the_answer(real: Comparison) -> None:
    """Verdict, builds and headlines come first, in at most a screen; all else is folded."""
    text = render_markdown(real)
    screen, _, rest = text.partition("<details>")
    assert screen.startswith("## ")
    assert real.decision.verdict in screen.splitlines()[0]
    assert len(screen.splitlines()) <= 40
    assert "&#" not in screen
    assert "exhausters compare release:0.5.22 release:0.5.23" in screen
    assert rest.count("<details>") + 1 == rest.count("</details>")


def test_hostile_names_do_nothing_in_markdown(tmp_path: Path) -> None:
    """Names full of HTML, Markdown, mentions and control characters show as text and do nothing."""
    text = render_markdown(_hostile(tmp_path))
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    for tag in ("<script", "<img", "<a ", "<h1", "<pre", "<em", "javascript:"):
        assert tag not in html
    for raw in ("<script", "\x1b", "\x00", "\u202e", "@everyone", "http://", "www.evil"):
        assert raw not in text
    assert text.count("<details>") == text.count("</details>")
    # Every row of a table has as many cells as its head.
    columns = 0
    for line in text.splitlines():
        if not line.startswith("| "):
            columns = 0
        else:
            columns = columns or line.count("|")
            assert line.count("|") == columns


@pytest.mark.parametrize(("length", "copies"), [(1, 1), (200, 4), (3, 40)])
def test_markdown_fits_into_a_comment(tmp_path: Path, length: int, copies: int) -> None:
    """However many cells and however long their names, the comment is within GitHub's limit, and whole."""
    text = render_markdown(_hostile(tmp_path, length=length, copies=copies))
    assert len(text) <= GITHUB_COMMENT_LIMIT
    assert text.count("<details>") == text.count("</details>")


def test_escaped_text_shows_as_itself() -> None:
    """Rendered, an escaped name reads as it was, save for control characters."""
    plain = "1. a_b*c*[d](e) <f> & `g` |h| ~~i~~ $j$ :k: !l http://m www.n.o - p"
    html = MarkdownIt("gfm-like", {"linkify": False}).renderInline(markdown_text(plain))
    shown = "".join(ET.fromstring(f"<p>{html}</p>").itertext())
    assert shown == plain
    assert code("a_b") == "`a_b`"
    assert code("a|b").startswith("<code>")
    assert markdown_text("one_word") == "one_word"


def test_junit_is_xml_and_agrees_with_the_gate(tmp_path: Path) -> None:
    """JUnit parses as XML whatever the names; counts, failures and the gate's case follow the verdicts."""
    found = _hostile(tmp_path)
    root = ET.fromstring(render_junit(found).encode())
    suite = root.find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert len(cases) == len(found.cells) + 1 == int(suite.attrib["tests"])
    assert len(suite.findall("testcase/failure")) == int(suite.attrib["failures"])
    assert len(suite.findall("testcase/error")) == int(suite.attrib["errors"])
    worse = int((found.cells["verdict"] == "worse").sum())
    broken = int((found.cells["verdict"] == "broken").sum())
    assert (worse, broken) == (32, 0)
    assert int(suite.attrib["failures"]) == worse + 1
    assert cases[-1].attrib["name"] == "gate"
    assert cases[-1].find("failure") is not None


def test_junit_tells_what_the_answer_lost(tmp_path: Path) -> None:
    """A cell fails by the metrics that its workload lost, not by one in which that cell alone moved."""

    def moved(one: dict[str, object]) -> dict[str, object]:
        more = {"end_to_end_p50_seconds": 0.54} if one["cell"] == alone else {}
        return one | {"metrics": METRICS | {"output_tokens_per_second": 80.0} | more}

    alone = cells()[0].id
    base, head = write_sweep(tmp_path / "a"), write_sweep(tmp_path / "b", HEAD, moved)
    found = compare(load_side(str(base)), load_side(str(head)))
    judged = found.verdicts[found.verdicts["judged"] == "worse"]
    assert set(judged.loc[judged["cell"] == alone, "metric"]) == {
        "output_tokens_per_second",
        "end_to_end_p50_seconds",
    }
    assert not [one for one in found.effects if one.metric.startswith("end_to") and one.verdict == "worse"]
    failures = ET.fromstring(render_junit(found)).findall("testsuite/testcase/failure")
    messages = {one.attrib["message"].split()[0] for one in failures[:-1]}
    assert messages == {"output_tokens_per_second"}
    assert "end_to_end" not in "".join(one.text or "" for one in failures[:-1])


def test_junit_of_a_pass_has_no_failure(tmp_path: Path) -> None:
    """A comparison that passes has no failure and no error."""
    side = load_side(str(write_sweep(tmp_path)))
    root = ET.fromstring(render_junit(compare(side, side)).encode())
    assert not list(root.iter("failure"))
    assert not list(root.iter("error"))


def test_the_document_is_plain_json(real: Comparison) -> None:
    """The document survives JSON, has no NaN, and agrees with the comparison it was made of."""
    results = load_results([DATA / "release_0.5.22", DATA / "release_0.5.23"])
    document = json.loads(to_json(report_document(results, real)))
    assert document["format"] == "exhausters-report"
    found = document["comparison"]
    assert (found["verdict"], found["exit_code"]) == (real.decision.verdict, real.decision.exit_code)
    assert sum(found["counts"].values()) == len(found["cells"]) == 4
    assert len(found["verdicts"]) == len(real.verdicts)
    assert [one["text"] for one in found["headlines"]] == [one.text for one in real.headlines]
    measured = document["results"]
    shape = [len(measured["values"]), len(measured["values"][0]), len(measured["values"][0][0])]
    assert shape == [len(measured["builds"]), len(measured["metrics"]), len(measured["cells"])]
    names = [one["name"] for one in measured["metrics"]]
    row = results.frame[(results.frame["metric"] == "steps_to_drain")].iloc[0]
    build = [one["target"] for one in measured["builds"]].index(row["target"])
    cell = [one["id"] for one in measured["cells"]].index(row["cell"])
    assert measured["values"][build][names.index("steps_to_drain")][cell] == row["value"]


def test_the_document_lists_what_its_description_promises(real: Comparison) -> None:
    """The keys of the document are those that its docstrings name."""
    import reports.render.json_report as module

    document = report_document(load_results([DATA / "release_0.5.22"]), real)
    assert all(f'"{key}"' in (module.__doc__ or "") for key in document)
    for part, describe in (
        (document["results"], module.results_document),
        (document["comparison"], module.comparison_document),
        (document["comparison"]["answer"], answer_document),
    ):
        assert all(f'"{key}"' in (describe.__doc__ or "") for key in part)
        for rows in part.values():
            if isinstance(rows, list) and rows and isinstance(rows[0], dict):
                assert all(
                    f'"{key}"' in (describe.__doc__ or "")
                    for key in rows[0]
                    if key not in rows[0].get("axes", {})
                )


def _printed(found: Comparison, **how: object) -> str:
    out = io.StringIO()
    print_comparison(found, Console(file=out, width=120, **how))  # type: ignore[arg-type]
    return out.getvalue()


def test_the_terminal_shows_the_answer_first(real: Comparison) -> None:
    """The first line is the answer, and no colour goes into a pipe."""
    text = _printed(real)
    assert text.startswith(f"{real.decision.verdict}: ")
    assert "\x1b[" not in text


def test_no_color_is_respected(real: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours, and none when NO_COLOR is set."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    colour = "\x1b[32m"  # of an answer that passes
    assert colour in _printed(real, force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert colour not in _printed(real, force_terminal=True)


def test_hostile_names_do_nothing_on_a_terminal(tmp_path: Path) -> None:
    """A name cannot move the cursor or colour the screen."""
    text = _printed(_hostile(tmp_path))
    assert "\x1b" not in text
    assert "\x00" not in text


def test_a_refusal_is_rendered_everywhere(tmp_path: Path) -> None:
    """A comparison that was refused has a comment, an XML and a document that say so."""
    base = load_side(str(write_sweep(tmp_path / "a")))
    head = load_side(str(write_sweep(tmp_path / "b", HEAD, grid_digest="other")))
    found = compare(base, head)
    assert "refused: grid differs" in _printed(found)
    assert "refused" in render_markdown(found)
    assert "refused" in render_junit(found)
    assert report_document(comparison=found)["comparison"]["exit_code"] == 2


def test_a_comment_can_be_read_as_source(real: Comparison) -> None:
    """Numbers, signs and names of a plain comparison stand in the comment as they are, without an entity."""
    assert "&#" not in render_markdown(real)


def test_a_commit_is_named_with_its_subject(tmp_path: Path) -> None:
    """The comment's title and the terminal name a commit by nine digits and the first line of its message."""
    head = write_sweep(tmp_path / "h", "git:/r@main", target_commit="a" * 40, target_subject="Fix evict (#1)")
    found = compare(load_side(str(write_sweep(tmp_path / "b"))), load_side(str(head)))
    title, _, _ = render_markdown(found).partition("\n")
    assert title.endswith("`aaaaaaaaa` `Fix evict (#1)`")
    assert found.head_subject == "Fix evict (#1)"


def test_a_command_can_be_copied(tmp_path: Path, real: Comparison) -> None:
    """It stands in backticks as it is typed, asks the same question, and names no folder of this machine."""
    head, base = (
        write_sweep(tmp_path / name, target, target_commit=name * 40)
        for name, target in (
            ("a", "git:/home/me/sglang@main~1"),
            ("b", "path:/home/me/sglang+0123abcde"),
        )
    )
    found = compare(load_side(str(base)), load_side(str(head)))
    options = ["--grid", "mine.toml", "--cells", "*pages=64*", "--claim", "refactor"]
    command = reproduce_command(found, options)
    assert command == (
        f"exhausters compare path:YOUR_CHECKOUT git:YOUR_CLONE@{'a' * 40} --grid mine.toml "
        "--cells '*pages=64*' --claim refactor"
    )
    assert f"* Reproduce: `{command}`\n" in render_markdown(found, options=options)
    assert reproduce_command(found, []).endswith("a" * 40)
    assert reproduce_command(found).endswith("--grid YOUR_FILE_OF_mine")
    assert reproduce_command(replace(found, grid="chosen")).endswith("a" * 40)
    assert reproduce_command(replace(real, grid="quick")) == (
        "exhausters compare release:0.5.22 release:0.5.23 --grid quick"
    )


def test_a_sentence_names_no_folder_of_a_clone(tmp_path: Path) -> None:
    """A failure that tells a build by its full name is shown with the short one, as everywhere else."""
    name = "git:/home/me/sglang@abc~1"

    def crashed(one: dict[str, object]) -> dict[str, object]:
        return one | {"outcome": "crashed", "reason": f"{name}: no boot", "metrics": {}}

    base = load_side(str(write_sweep(tmp_path / "a")))
    found = compare(base, load_side(str(write_sweep(tmp_path / "b", name, crashed))))
    screen, _, _ = render_markdown(found).partition("* Reproduce")
    assert "head: `abc~1`: no boot" in screen
    assert "head: abc~1: no boot" in _printed(found)
    assert not [text for text in (screen, _printed(found)) if "/home/me" in text]


def test_what_the_sentence_says_is_not_repeated_below(tmp_path: Path) -> None:
    """A loss that the answer names is no line of its own; one that it only counts is."""
    lost = {"retractions": 6900, "output_tokens_per_second": 90.0, "end_to_end_p50_seconds": 0.6}
    more = {"goodput_requests_per_second": 2.0}

    def compared(folder: Path, numbers: dict[str, object]) -> Comparison:
        base = load_side(str(write_sweep(folder / "a")))
        head = write_sweep(folder / "b", HEAD, lambda one: one | {"metrics": METRICS | numbers})
        return compare(base, load_side(str(head)))

    three, four = compared(tmp_path / "x", lost), compared(tmp_path / "y", lost | more)
    assert (len(three.decision.reasons), len(four.decision.reasons)) == (3, 4)
    for text in (render_markdown(three).partition("<details>")[0], _printed(three)):
        assert ": worse\n" not in text
    for text in (render_markdown(four).partition("<details>")[0], _printed(four)):
        assert text.count(": worse\n") == 1


def test_a_difference_comes_with_the_command_that_explains_it(tmp_path: Path) -> None:
    """A reader of a loss asks which functions cost it: the command names both builds and one cell."""
    more = {"python_calls": 130_000, "python_calls_per_step": 1300.0}
    head = write_sweep(tmp_path / "b", HEAD, lambda one: one | {"metrics": METRICS | more})
    less = {"python_calls": 100_000, "python_calls_per_step": 1000.0}
    base = write_sweep(tmp_path / "c", change=lambda one: one | {"metrics": METRICS | less})
    found = compare(load_side(str(base)), load_side(str(head)))
    command = "exhausters why release:0.5.22 release:0.5.23 --grid results/compare --cell"
    assert f"* Why, function by function: `{command}" in render_markdown(found)
    assert f"why, function by function: {command}" in _printed(found)
    assert "exhausters why" not in render_markdown(compare(load_side(str(base)), load_side(str(base))))
