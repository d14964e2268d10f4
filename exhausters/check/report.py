"""What a check leaves behind: a table, JSON, and an issue that a maintainer can take as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.text import Text

from exhausters import __version__
from exhausters.check.groups import Group, PromiseCount, exit_code
from exhausters.check.metamorphic import RelationJudged
from exhausters.check.shrink import Shrunk
from exhausters.console import headed_table
from exhausters.sweep.record import DRAINED, RunRecord
from exhausters.targets import PreparedTarget

_NONE = "–"
# Sentences that are shown of a broken relation.
_BROKEN_SHOWN = 3


def findings_view(
    groups: Sequence[Group],
    counts: Sequence[PromiseCount],
    relations: Sequence[RelationJudged],
    scripts: Mapping[str, Shrunk],
    *,
    title: str,
) -> Lines:
    """Return the tables for a console: promises, relations, and findings with their scripts by file name."""
    table = headed_table(title)
    for name in ("promise", "judged", "cells", "broken"):
        table.add_column(name, justify="left" if name == "promise" else "right")
    table.add_column("not judged")
    for one in counts:
        reasons = "; ".join(f"{reason} ({cells} cells)" for reason, cells in one.not_judged)
        table.add_row(one.promise, f"{one.judged:,}", str(one.cells), str(one.findings), reasons or _NONE)
    parts: list[RenderableType] = [table, "", _relations_table(relations)]
    parts += [Text(line) for one in relations for line in _broken_lines(one)]
    parts += [Text(f"{one.promise}: {'; '.join(one.measured)}") for one in counts if one.measured]
    for group in groups:
        parts += ["", *(Text(line) for line in _group_lines(group))]
    for name, shrunk in scripts.items():
        said = "fails on this build" if shrunk.is_proven else "does not fail: prompts are simpler in it"
        trial = shrunk.reduction.trial
        requests = len(trial.scenario.requests) + len(trial.scenario.warmup)
        parts.append(Text(f"script: {name}: {requests} requests, {shrunk.reduction.runs} runs, {said}"))
    return Lines(*parts)


def _relations_table(relations: Sequence[RelationJudged]) -> RenderableType:
    table = headed_table("runs that must agree")
    for name in ("relation", "compared", "broken"):
        table.add_column(name, justify="left" if name == "relation" else "right")
    table.add_column("not judged")
    for one in relations:
        name = f"{one.name} (told, no finding)" if one.is_anomaly else one.name
        table.add_row(name, str(one.compared), str(len(one.broken)), one.not_judged or _NONE)
    return table


def _broken_lines(relation: RelationJudged) -> list[str]:
    if not relation.broken:
        return []
    shown = [f"  {one}" for one in relation.broken[:_BROKEN_SHOWN]]
    more = len(relation.broken) - len(shown)
    return [f"{relation.name}: {relation.wants}", *shown, *([f"  and {more} more"] if more else [])]


def _group_lines(group: Group) -> list[str]:
    finding = group.finding
    times = f"{group.count} times in {len(group.cells)} cells" if group.count > 1 else "once"
    return [
        f"{group.promise} ({group.cause or 'no known cause'}), {times}",
        f"  wants: {finding.wants}",
        f"  saw:   {finding.saw}",
        f"  from step {finding.first_step} on, in {finding.steps} steps"
        + (f", {', '.join(finding.rids)}" if finding.rids else "")
        + f"; {group.record.cell.id}",
    ]


def check_json(
    target: PreparedTarget,
    grid: str,
    records: Sequence[RunRecord],
    groups: Sequence[Group],
    counts: Sequence[PromiseCount],
    relations: Sequence[RelationJudged],
    scripts: Mapping[str, Shrunk],
) -> dict[str, Any]:
    """Return everything in plain values."""
    return {
        "schema": 1,
        "harness_version": __version__,
        "target": target.name,
        "grid": grid,
        "exit_code": exit_code(records, relations),
        "promises": [
            {
                "promise": one.promise,
                "wants": one.wants,
                "judged": one.judged,
                "cells": one.cells,
                "findings": one.findings,
                "measured": list(one.measured),
                "not_judged": [{"reason": reason, "cells": cells} for reason, cells in one.not_judged],
            }
            for one in counts
        ],
        "groups": [
            {"promise": one.promise, "cause": one.cause, "count": one.count, "cells": list(one.cells)}
            for one in groups
        ],
        "relations": [asdict(one) for one in relations],
        "scripts": {name: {"is_proven": one.is_proven, "text": one.text} for name, one in scripts.items()},
        "cells": [_cell_json(one) for one in records],
    }


def _cell_json(record: RunRecord) -> dict[str, Any]:
    judgement = record.result.judgement
    return {
        "cell": record.cell.id,
        "outcome": record.result.outcome,
        "reason": record.result.reason,
        "steps": len(record.result.log),
        # What the workload did to its requests, by action and stage: one that is missing never came up.
        "events": dict(record.result.provenance.get("events", {})),
        "findings": [] if judgement is None else [one.to_json() for one in judgement.findings],
    }


def issue_text(
    target: PreparedTarget,
    records: Sequence[RunRecord],
    groups: Sequence[Group],
    relations: Sequence[RelationJudged],
    scripts: Mapping[str, Shrunk],
) -> str:
    """Return the findings as an issue in Markdown."""
    version = next(
        (
            str(one.result.provenance["sglang_version"])
            for one in records
            if "sglang_version" in one.result.provenance
        ),
        "unknown",
    )
    broken = [one for one in relations if one.broken and not one.is_anomaly]
    parts = [f"# SGLang {version} (`{target.name}`): {_headline(groups, broken)}", ""]
    for group in groups:
        finding, engine = group.finding, group.record.cell.engine
        parts += [
            f"## {group.promise}",
            "",
            f"**Promised:** {finding.wants}.",
            "",
            f"**Seen:** {finding.saw}.",
            "",
            f"From step {finding.first_step} on, in {finding.steps} steps; seen {group.count} times in "
            f"{len(group.cells)} cells. The cell: `{group.record.cell.id}`.",
            "",
            f"**Server:** `{_arguments(engine.engine_keywords())}`, model `{engine.model}`, on a CPU with a "
            "null model that computes nothing; the scheduler is SGLang's own, unmodified.",
            "",
        ]
        for name, shrunk in scripts.items():
            if (shrunk.reduction.trial.finding.promise, shrunk.reduction.trial.finding.cause) == (
                group.promise,
                group.cause,
            ):
                parts += [_script_sentence(name, shrunk), "", "```python", shrunk.text.rstrip(), "```", ""]
    for one in broken:
        parts += [f"## {one.name}", "", f"**Promised:** {one.wants}.", "", "**Seen:**", ""]
        parts += [*(f"- {said}" for said in one.broken[:_BROKEN_SHOWN]), ""]
    failed = [one for one in records if one.result.judgement is None and one.result.outcome != DRAINED]
    if failed:
        parts += [f"{len(failed)} cells could not be judged, the first: {failed[0].result.reason}", ""]
    return "\n".join(parts)


def _headline(groups: Sequence[Group], relations: Sequence[RelationJudged]) -> str:
    broken = list(dict.fromkeys([*(one.promise for one in groups), *(one.name for one in relations)]))
    return f"broken: {', '.join(broken)}" if broken else "no promise was found broken"


def _arguments(keywords: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in keywords.items())


def _script_sentence(name: str, shrunk: Shrunk) -> str:
    smallest = (
        "without any one of its requests the promise is kept"
        if shrunk.reduction.is_minimal
        else "it could be smaller: the limit of runs was reached"
    )
    proven = "It fails on this build" if shrunk.is_proven else "It does NOT fail on this build as it is"
    return f"**Script** `{name}`. {proven}; {smallest}."
