"""What a campaign leaves behind: tables, JSON, and an issue that a maintainer can take as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.text import Text

from exhausters import __version__
from exhausters.check.groups import Same
from exhausters.console import headed_table
from exhausters.fuzz.campaign import Campaign
from exhausters.fuzz.cases import Case
from exhausters.fuzz.play import CLEAN_END, NO_CRASH
from exhausters.fuzz.shrink import ShrunkCase

_NONE = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFile:
    """The script of a group of findings.

    Attributes:
        name: of the file.
        text: what is in it.
        shrunk: how it was found.
        is_proven: whether it was run on the target and failed there.
    """

    name: str
    text: str
    shrunk: ShrunkCase
    is_proven: bool


def campaign_view(campaign: Campaign, scripts: Mapping[int, ScriptFile], *, title: str) -> Lines:
    """Return the tables for a console: promises, states, and findings with their scripts by group."""
    parts: list[RenderableType] = [_promises(campaign, title), "", _states(campaign)]
    parts += [Text(f"not reached, and should have been: {name}") for name in campaign.unreached]
    parts += [Text(f"not played: {label}: {reason}") for label, reason in campaign.failures.items()]
    for number, group in enumerate(campaign.groups):
        parts += ["", *(Text(line) for line in _group_lines(group))]
        if number in scripts:
            parts.append(Text(_script_line(scripts[number])))
    rate = len(campaign.shown) / campaign.seconds if campaign.seconds else 0.0
    parts += [
        "",
        Text(
            f"{len(campaign.shown):,} scripts, {campaign.steps:,} steps in {campaign.seconds:,.0f} s "
            f"({rate:.1f} scripts per second, boots included); seed {campaign.plan.seed}"
        ),
    ]
    return Lines(*parts)


def _promises(campaign: Campaign, title: str) -> RenderableType:
    table = headed_table(title)
    for name in ("promise", "judged", "scripts", "broken"):
        table.add_column(name, justify="left" if name == "promise" else "right")
    table.add_column("not judged")
    for one in campaign.promises:
        reasons = "; ".join(f"{reason} ({scripts} scripts)" for reason, scripts in one.not_judged)
        table.add_row(one.promise, f"{one.judged:,}", f"{one.cells:,}", str(one.findings), reasons or _NONE)
    for promise, broken in _ends(campaign).items():
        scripts = f"{len(campaign.shown):,}"
        table.add_row(promise, scripts, scripts, str(broken), _NONE)
    return table


def _ends(campaign: Campaign) -> dict[str, int]:
    """How often each promise was broken that no oracle judges."""
    found = [finding.promise for one in campaign.shown for finding in one.findings]
    return {promise: found.count(promise) for promise in (CLEAN_END, NO_CRASH)}


def _states(campaign: Campaign) -> RenderableType:
    table = headed_table("reached")
    for name in ("state", "scripts", "of those that could"):
        table.add_column(name, justify="left" if name == "state" else "right")
    for name, (reached, able) in campaign.reached.items():
        table.add_row(name, f"{reached:,}", f"{able:,}")
    return table


def _group_lines(group: Same[Case]) -> list[str]:
    finding, case = group.finding, group.of
    times = f"{len(group.every)} times" if len(group.every) > 1 else "once"
    return [
        f"{finding.promise} ({finding.cause or 'no known cause'}), {times}",
        f"  wants: {finding.wants}",
        f"  saw:   {finding.saw}",
        f"  {case.origin}, digest {case.script.digest}, on {case.engine.label}",
    ]


def _script_line(script: ScriptFile) -> str:
    shrunk = script.shrunk
    said = "fails on this build" if script.is_proven else "does not fail: prompts are simpler in it"
    operations = len(shrunk.case.script.operations)
    return f"  script: {script.name}: {operations} operations, {shrunk.runs} runs, {said}"


def campaign_json(campaign: Campaign, scripts: Mapping[int, ScriptFile], *, target: str) -> dict[str, Any]:
    """Return everything in plain values."""
    plan = campaign.plan
    return {
        "schema": 1,
        "harness_version": __version__,
        "target": target,
        "plan": {"scripts": plan.scripts, "seed": plan.seed, "minutes": plan.minutes},
        "exit_code": campaign.exit_code,
        "played": len(campaign.shown),
        "steps": campaign.steps,
        "seconds": round(campaign.seconds, 1),
        "reached": {name: {"scripts": one[0], "possible": one[1]} for name, one in campaign.reached.items()},
        "unreached": list(campaign.unreached),
        "failures": dict(campaign.failures),
        "promises": [
            {"promise": one.promise, "judged": one.judged, "scripts": one.cells, "findings": one.findings}
            for one in campaign.promises
        ],
        "groups": [_group_json(group, scripts.get(number)) for number, group in enumerate(campaign.groups)],
    }


def _group_json(group: Same[Case], script: ScriptFile | None) -> dict[str, Any]:
    return {
        "finding": group.finding.to_json(),
        "count": len(group.every),
        "origins": [one.origin for one in group.every[:20]],
        "case": group.of.to_json(),
        "script": None
        if script is None
        else {
            "name": script.name,
            "is_proven": script.is_proven,
            "is_minimal": script.shrunk.is_minimal,
            "runs": script.shrunk.runs,
            "tried": list(script.shrunk.tried),
            "case": script.shrunk.case.to_json(),
            "text": script.text,
        },
    }


def issue_text(campaign: Campaign, scripts: Mapping[int, ScriptFile], *, target: str) -> str:
    """Return the findings as an issue in Markdown."""
    groups = campaign.groups
    parts = [f"# `{target}`: {_headline(groups)}", ""]
    for number, group in enumerate(groups):
        finding = group.finding
        parts += [
            f"## {finding.promise}",
            "",
            f"**Promised:** {finding.wants}.",
            "",
            f"**Seen:** {finding.saw}.",
            "",
            f"Seen in {len(group.every)} of {len(campaign.shown)} scripts; {group.of.origin}, "
            f"on `{group.of.engine.label}`.",
            "",
        ]
        script = scripts.get(number)
        if script is not None:
            proven = (
                "It fails on this build" if script.is_proven else "It does NOT fail on this build as it is"
            )
            parts += [
                f"**Script** `{script.name}`. {proven}.",
                "",
                "```python",
                script.text.rstrip(),
                "```",
                "",
            ]
    return "\n".join(parts)


def _headline(groups: Sequence[Same[Case]]) -> str:
    broken = list(dict.fromkeys(one.finding.promise for one in groups))
    return f"broken: {', '.join(broken)}" if broken else "no promise was found broken"
