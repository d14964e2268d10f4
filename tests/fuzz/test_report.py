"""What a campaign leaves behind tells all that it found, and what it did not play."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from exhausters.fuzz.campaign import Campaign, Plan
from exhausters.fuzz.cases import Case, Shown
from exhausters.fuzz.play import NO_CRASH, Played
from exhausters.fuzz.report import ScriptFile, campaign_json, campaign_view, issue_text
from exhausters.fuzz.shrink import ShrunkCase
from exhausters.oracles import PROMISES, Finding
from exhausters.oracles.base import PromiseJudged
from tests.fuzz.in_process import ENGINE, script, steps

_FINDING = Finding(promise="liveness", wants="WANTED", saw="SAW", step=3, first_step=1)
_CASE = Case(engine=ENGINE, script=script(steps(3)), origin="seed 1, block 0")


def _shown(*findings: Finding, not_judged: str = "") -> Shown:
    promises = tuple(PromiseJudged(promise=one.name, judged=5, not_judged=not_judged) for one in PROMISES)
    played = Played(digest="d", findings=findings, promises=promises, reached=(), steps=700, log_digest="l")
    return Shown(case=_CASE, findings=findings, played=played)


def _campaign(*shown: Shown, **fields: Any) -> Campaign:
    return Campaign(plan=Plan(scripts=len(shown), seed=77), shown=list(shown), **fields)


def _script(*, is_proven: bool) -> ScriptFile:
    shrunk = ShrunkCase(case=_CASE, finding=_FINDING, runs=31, is_minimal=True, tried=("all",))
    return ScriptFile(name="test_liveness.py", text="TEXT\n", shrunk=shrunk, is_proven=is_proven)


def _printed(campaign: Campaign, scripts: dict[int, ScriptFile]) -> str:
    out = io.StringIO()
    Console(width=200, file=out).print(campaign_view(campaign, scripts, title="fuzz of a build"))
    return out.getvalue()


def _row(text: str, name: str) -> list[str]:
    (found,) = [line for line in text.splitlines() if line.startswith(name)]
    return found.removeprefix(name).split(maxsplit=3)


def test_a_finding_is_told_once_with_how_often_it_was_seen() -> None:
    """Findings of one cause are one group with its promise, its numbers, its example and its script."""
    campaign = _campaign(_shown(_FINDING), _shown(_FINDING), _shown(), seconds=6.0)
    text = _printed(campaign, {0: _script(is_proven=True)})
    assert text.count("WANTED") == text.count("SAW") == 1
    assert "2 times" in text
    assert _CASE.script.digest in text
    (line,) = [line for line in text.splitlines() if "test_liveness.py" in line]
    assert "31 runs" in line
    assert "does not fail" not in line
    assert "2,100 steps" in text
    assert "seed 77" in text


def test_a_script_that_does_not_fail_is_no_proof() -> None:
    """Whoever reads the tables or the issue is told that the written script passes."""
    campaign = _campaign(_shown(_FINDING))
    proven, other = (
        (_printed(campaign, {0: one}), issue_text(campaign, {0: one}, target="x"))
        for one in (_script(is_proven=True), _script(is_proven=False))
    )
    assert ["does not fail" in proven[0], "does not fail" in other[0]] == [False, True]
    assert ["does NOT fail" in proven[1], "does NOT fail" in other[1]] == [False, True]
    assert "```python\nTEXT\n```" in proven[1]
    group = campaign_json(campaign, {0: _script(is_proven=False)}, target="x")["groups"][0]
    assert group["script"]["is_proven"] is False
    assert group["count"] == 1


def test_what_was_not_judged_or_not_played_is_told() -> None:
    """A promise that could not be judged and an engine that did not boot are not taken for a pass."""
    campaign = _campaign(
        _shown(not_judged="no drain"), failures={"p16/lpm": "BootError: refused"}, seconds=0.0
    )
    text = _printed(campaign, {})
    assert text.count("no drain (1 scripts)") == len(PROMISES)
    assert "p16/lpm: BootError: refused" in text
    assert "once" not in text
    assert "no promise was found broken" in issue_text(campaign, {}, target="x")


def test_a_crash_counts_although_no_oracle_judges_it() -> None:
    """The table of promises has a row for it, with how often it was broken in all scripts."""
    crash = replace(_FINDING, promise=NO_CRASH)
    text = _printed(_campaign(_shown(crash), _shown()), {})
    table = text.split("\n\n", 1)[0]
    assert _row(table, NO_CRASH)[:3] == ["2", "2", "1"]
