"""A short history of real SGLang with changes planted on top of a release."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from exhausters.mirror import configured_index, mirror_releases, parse_range
from exhausters.targets.cache import cache_root
from exhausters.targets.claims import claim
from exhausters.targets.git import run_git

ROOT = Path(__file__).parents[2]
POLICY = "python/sglang/srt/managers/schedule_policy.py"
_BUDGET = "        self.rem_chunk_tokens = rem_chunk_tokens\n"
# Half the chunk budget, with large pages only.
_HALVED = "        if rem_chunk_tokens is not None and page_size > 1:\n            rem_chunk_tokens //= 2\n"


def release_mirror(version: str) -> Path:
    """A mirror of one release, kept in the cache."""
    directory = cache_root() / "mirrors" / f"{version}.git"
    claim(directory)
    mirror_releases(parse_range(version), directory, configured_index())
    return directory


def plant_history(directory: Path, *, version: str) -> dict[str, str]:
    """Make a repository of four commits on each other and return their ids by name.

    `base` is the release; `comment` changes no behaviour; `broken` cannot be imported; `halved` can again,
    and halves the chunk budget where the page size is above 1.
    """
    run_git(["clone", "--quiet", "--bare", "--shared", str(release_mirror(version)), str(directory)])
    text = run_git([f"--git-dir={directory}", "show", f"main:{POLICY}"]) + "\n"
    assert text.count(_BUDGET) == 1
    commits = {"base": run_git([f"--git-dir={directory}", "rev-parse", "main"])}
    commits["comment"] = _commit(directory, "comment", "# Nothing else.\n" + text)
    commits["broken"] = _commit(directory, "broken", text + "import no_such_module\n")
    commits["halved"] = _commit(directory, "halved", text.replace(_BUDGET, _HALVED + _BUDGET))
    return commits


def _commit(directory: Path, message: str, text: str) -> str:
    date = int(run_git([f"--git-dir={directory}", "log", "-1", "--format=%at", "main"])) + 60
    body = text.encode()
    stream = (
        f"commit refs/heads/main\ncommitter toy <toy@invalid> {date} +0000\n"
        f"data {len(message)}\n{message}\nfrom refs/heads/main^0\n"
        f"M 100644 inline {POLICY}\ndata {len(body)}\n"
    ).encode()
    command = ["git", f"--git-dir={directory}", "fast-import", "--quiet"]
    subprocess.run(command, input=stream + body + b"\n", check=True)
    return run_git([f"--git-dir={directory}", "rev-parse", "main"])


def write_configuration(folder: Path, repository: Path) -> None:
    """Write the project's asv.conf.json into `folder`, for another repository."""
    text = (ROOT / "asv.conf.json").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("//")]
    document = json.loads("\n".join(lines))
    document |= {"repo": str(repository), "benchmark_dir": str(ROOT / "benchmarks")}
    (folder / "asv.conf.json").write_text(json.dumps(document))
