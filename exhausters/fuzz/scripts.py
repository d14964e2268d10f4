"""The script of each group of findings: shrunk, written, run once more, and kept as a case for a corpus."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path

from exhausters.check.groups import Same
from exhausters.fuzz.cases import Case
from exhausters.fuzz.corpus import write_case
from exhausters.fuzz.play import NO_CRASH
from exhausters.fuzz.player import Player
from exhausters.fuzz.report import ScriptFile
from exhausters.fuzz.script_file import fails, script_text
from exhausters.fuzz.shrink import renumbered, shrink_case
from exhausters.results_folder import replace_text
from exhausters.sweep.workers import Lease, Workers
from exhausters.targets import PreparedTarget

# Each run of a script that ends its worker costs a boot.
_RUNS_OF_A_CRASH = 40
CASES = "cases"

Say = Callable[[str], None]


def write_scripts(
    groups: tuple[Same[Case], ...],
    target: PreparedTarget,
    owner: Workers,
    out: Path,
    *,
    max_runs: int,
    say: Say = lambda text: None,
) -> dict[int, ScriptFile]:
    """Return the scripts by the number of their group; of what does not come back when played alone, none.

    Args:
        groups: what was found.
        target: the build.
        owner: lends the workers.
        out: folder for the scripts, and below it the cases, as found and as shrunk.
        max_runs: how often scripts may be played for one group.
        say: is told what is being done.
    """
    scripts: dict[int, ScriptFile] = {}
    taken: set[str] = set()
    for number, group in enumerate(groups):
        stem = _stem(group.finding.promise, taken)
        taken.add(stem)
        try:
            with owner.lease() as lease:
                script = _written(group, target, lease, out, stem, max_runs=max_runs, say=say)
        except OSError as error:  # a full disk costs the script and not the finding
            say(f"no script: {out}: cannot be written ({error.strerror or error}): {group.of.origin}")
            continue
        if script is None:
            say(f"no script: {group.finding.promise} did not come back when played alone: {group.of.origin}")
        else:
            scripts[number] = script
    return scripts


def _written(
    group: Same[Case], target: PreparedTarget, lease: Lease, out: Path, stem: str, *, max_runs: int, say: Say
) -> ScriptFile | None:
    """Write the case as it was found, its script, and the case as it was shrunk; raises OSError."""
    about = {"target": target.name, "promise": group.finding.promise, "cause": group.finding.cause}
    write_case(out / CASES / f"{stem}_as_found.json", group.of, **about)
    say(f"cutting down {group.finding.promise} ({group.finding.cause or 'no known cause'})")
    script = _script(group, target, lease, out, stem, max_runs=max_runs)
    if script is not None:
        write_case(out / CASES / f"{stem}.json", script.shrunk.case, **about)
    return script


def _script(
    group: Same[Case], target: PreparedTarget, lease: Lease, out: Path, stem: str, *, max_runs: int
) -> ScriptFile | None:
    runs = min(max_runs, _RUNS_OF_A_CRASH) if group.finding.promise == NO_CRASH else max_runs
    shrunk = shrink_case(group.of, group.finding, Player(target, lease), max_runs=runs)
    if shrunk is None:
        return None
    shrunk = replace(shrunk, case=replace(shrunk.case, script=renumbered(shrunk.case.script)))
    file = out / f"test_fuzz_{stem}.py"
    text = script_text(shrunk, target=target.name, file=file.name)
    replace_text(file, text)
    return ScriptFile(
        name=file.name, text=text, shrunk=shrunk, is_proven=fails(file, shrunk.case, target, lease)
    )


def _stem(promise: str, taken: Container[str]) -> str:
    stem = promise.replace(" ", "_")
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    return name
