"""Write a report on everything there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exhausters.errors import ExhaustersError
from reports.dashboard.page import DASHBOARD_NAME, render_dashboard
from reports.dashboard.page_data import dashboard_data
from reports.detect.config import Config
from reports.detect.history import History, detect_history
from reports.errors import NotComparableError
from reports.explain.comparison import Comparison, compare
from reports.load.builds import Side, list_builds, pick
from reports.load.frame import Results
from reports.render.json_report import report_document, results_document, to_json
from reports.render.junit import render_junit
from reports.render.markdown import render_markdown
from reports.vocabulary import OUTCOME, SWEEP

DOCUMENT_NAME = "report.json"


def write_report(
    results: Results, out: Path, config: Config, *, base: str | None = None, head: str | None = None
) -> list[Path]:
    """Write the report's files and return their paths.

    `index.html` is the dashboard, `report.json` all there is to know; `report.md` and `junit.xml` need two
    builds. A history needs three builds. What cannot be compared is a note in the report, not an error.

    Args:
        results: everything there is.
        out: folder for the files.
        config: thresholds and waivers.
        base: the build to compare with, as `PATH@BUILD` names it; the one before `head` by default.
        head: the build to judge; the newest by default.

    Raises:
        SelectionError: no build has that name, or several have.
    """
    notes: list[str] = []
    results = latest(results, notes)
    comparison = _comparison(results, config, notes, base, head)
    history = _history(results, config, notes)
    document = report_document(results, comparison, history, notes)
    texts = {
        DASHBOARD_NAME: render_dashboard(_page(results, document, history, config)),
        DOCUMENT_NAME: to_json(document),
    }
    if comparison is not None:
        texts |= {"report.md": render_markdown(comparison), "junit.xml": render_junit(comparison)}
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return [out / name for name in texts]


def _page(
    results: Results, document: dict[str, Any], history: History | None, config: Config
) -> dict[str, Any]:
    """The dashboard's data: builds that were measured alike, so that one release follows another."""
    targets = _targets(results)
    is_shown = results.frame["target"].isin(targets)
    others = sorted(set(results.frame.loc[~is_shown, "target"].astype(str)))
    notes = [*document["notes"], *(f"in report.json only, no sweep of it: {target}" for target in others)]
    shown = results.select(is_shown)
    return dashboard_data(
        shown, document | {"results": results_document(shown), "notes": notes}, history, config
    )


def latest(results: Results, notes: list[str]) -> Results:
    """Return results without sweeps that a later one replaces: another grid, or the same build again.

    The grid is that of the latest sweep. What is left out is told in `notes`.
    """
    frame = results.frame
    runs = frame[(frame["metric"] == OUTCOME) & (frame["suite"] == SWEEP)]
    if runs.empty:
        return results
    started = runs["provenance"].map(lambda facts: str(facts.get("started") or ""))
    runs = runs.astype({"grid_digest": object, "session": object, "target": object}).assign(started=started)
    grid = runs.sort_values("started", kind="stable")["grid_digest"].iloc[-1]
    alike = runs[runs["grid_digest"].isna() if grid is None else runs["grid_digest"] == grid]
    single = alike[alike["round"].isna()].sort_values("started", kind="stable")
    newest = set(single.groupby("target")["session"].last()) | set(
        alike.loc[alike["round"].notna(), "session"]
    )
    old = sorted(set(runs["session"]) - newest)
    notes += [f"left out, a later sweep replaces it or has another grid: {session}" for session in old]
    return results.select(~frame["session"].isin(old))


def _comparison(
    results: Results, config: Config, notes: list[str], base: str | None, head: str | None
) -> Comparison | None:
    targets = _targets(results)
    is_sweep = results.frame["suite"] == SWEEP
    if is_sweep.any():  # other suites may have run another grid
        results = results.select(is_sweep)
    judged = pick(results, head).label if head else targets[-1]
    others = targets[: targets.index(judged)] if judged in targets else []
    if base is None and not others:
        notes.append(f"nothing was measured before {judged}: there is nothing to compare it with")
        return None
    earlier = pick(results, base).label if base else others[-1]
    sides = [_side(results, target) for target in (earlier, judged)]
    try:
        return compare(*sides, config=config)
    except ExhaustersError as error:
        notes.append(f"{earlier} and {judged} were not compared: {error}")
        return None


def _history(results: Results, config: Config, notes: list[str]) -> History | None:
    targets = _targets(results)
    if len(targets) < 3:
        return None
    try:
        return detect_history(
            results.frame, targets, tolerance=config.tolerance, smallest_effect=config.smallest_effect
        )
    except NotComparableError as error:
        notes.append(f"no history: {error}")
        return None


def _targets(results: Results) -> list[str]:
    """Targets of sweeps, oldest first; of other suites where there is no sweep."""
    frame = results.frame
    sweeps = frame[frame["suite"] == SWEEP]
    return list(dict.fromkeys(list_builds(sweeps if len(sweeps) else frame)["target"]))


def _side(results: Results, target: str) -> Side:
    return Side(label=target, results=results.select(results.frame["target"] == target))
