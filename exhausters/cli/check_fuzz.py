"""The other half of `exhausters check`: a campaign of drawn scripts."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from exhausters.console import print_line


def check_fuzz(
    target: str,
    *,
    scripts: int | None,
    minutes: float | None,
    seed: int,
    corpus: list[Path],
    workers: int | None,
    out: Path,
    max_runs: int,
    console: Console,
    errors: Console,
) -> int:
    """Play a campaign, shrink what was found, write everything into an existing folder; return the exit code.

    Raises:
        ExhaustersError: the target cannot be prepared, a corpus makes no sense, hypothesis is missing.
        StoreError: the answer cannot be written; it was printed.
    """
    from exhausters.fuzz.campaign import ENDLESS, Plan, run_campaign
    from exhausters.fuzz.corpus import read_corpus
    from exhausters.fuzz.report import campaign_json, campaign_view, issue_text
    from exhausters.fuzz.scripts import write_scripts
    from exhausters.progress import ShownProgress
    from exhausters.results_folder import write_answer
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.sweep.workers import Workers
    from exhausters.targets import prepare

    plan = Plan(
        scripts=ENDLESS if scripts is None else scripts,
        seed=seed,
        minutes=minutes,
        corpus=tuple(case for folder in corpus for case in read_corpus(folder)),
        workers=LocalExecutor(workers).workers,
    )
    total = None if scripts is None else scripts + len(plan.corpus)
    with ShownProgress(errors, total=total) as progress, Workers(limit=plan.workers) as owner:
        prepared = prepare(target, on_progress=progress.say)
        campaign = run_campaign(
            prepared,
            plan,
            owner=owner,
            say=progress.note,
            on_progress=lambda done: progress.step(done, total or done),
        )
        found = {}
        if max_runs:
            found = write_scripts(campaign.groups, prepared, owner, out, max_runs=max_runs, say=progress.say)
    document = campaign_json(campaign, found, target=prepared.name)
    console.print(campaign_view(campaign, found, title=f"{prepared.name}, fuzz"))
    write_answer(
        out,
        {
            "fuzz.json": json.dumps(document, indent=1) + "\n",
            "fuzz.md": issue_text(campaign, found, target=prepared.name),
        },
        show=lambda text: print_line(console, text),
    )
    print_line(console, f"written to {out}")
    return campaign.exit_code
