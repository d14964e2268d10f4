"""The recipe of docs/cluster.md for many commits: which are compared, with a stand-in for the gate."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.docs.pages import ROOT, Command, blocks_of

_FOLDER = "python/sglang/srt/managers"
# Answers as the gate gives them: the first line is the sentence.
_GATE = """\
#!/bin/sh
[ "$1" = gate ] || exit 2
[ -d "$2" ] && [ -d "$3" ] || { echo "missing: $2 or $3"; exit 2; }
cat "$3/answer"
echo "a table"
"""


def _git(repo: Path, *words: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(repo), *who, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _history(repo: Path, answers: dict[str, str | None]) -> dict[str, str]:
    """A commit for each answer, oldest first; None for one that touches no folder of the scheduler's."""
    (repo / _FOLDER).mkdir(parents=True)
    _git(repo, "init", "--quiet")
    ids = {}
    for name, answer in answers.items():
        (repo / (_FOLDER if answer is not None else "") / "file").write_text(name)
        _git(repo, "add", ".")
        _git(repo, "commit", "--quiet", "--message", name)
        ids[name] = _git(repo, "rev-parse", "HEAD")
    return ids


def _recipe() -> list[Command]:
    """The commands that compare neighbours."""
    blocks = [block for block in blocks_of(ROOT / "docs" / "cluster.md") if "> pairs" in block.text]
    assert len(blocks) == 1
    return list(blocks[0].commands)


def test_the_commits_that_changed_something_are_told(tmp_path: Path) -> None:
    """Each commit is judged against the one before it in the list, and equal ones are left out."""
    answers: dict[str, str | None] = {
        "oldest": "",
        "equal": "identical: decisions and work are equal",
        "elsewhere": None,
        "moved": "neutral: decisions differ in 2 of 8 cells",
        "noise": "neutral: the same decisions in all 8 cells",
        "lost": "worse: time to first token",
        "crashed": "broken in 8 cells",
    }
    ids = _history(tmp_path / "repo", answers)
    for name, answer in answers.items():
        if answer is not None:
            (tmp_path / "results" / "range" / ids[name]).mkdir(parents=True)
            (tmp_path / "results" / "range" / ids[name] / "answer").write_text(f"{answer}\n")
    program = tmp_path / "bin" / "exhausters"
    program.parent.mkdir()
    program.write_text(_GATE)
    program.chmod(0o755)
    environ = {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "REPO": str(tmp_path / "repo"),
        "HOME": str(tmp_path),
    }
    # The list has one commit more than there are pairs: its oldest has no neighbour that was run.
    pairs = len([one for one in answers.values() if one is not None]) - 1
    script = "\n".join(command.text.replace("-499", f"-{pairs}") for command in _recipe())
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert told == {ids[name]: answers[name] for name in ("moved", "lost", "crashed")}
