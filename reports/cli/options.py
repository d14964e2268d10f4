"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exhausters.console import print_line

if TYPE_CHECKING:
    from rich.console import Console

    from reports.detect.config import Config
    from reports.load.commits import KnownCommit
    from reports.load.frame import Results

# Read when it exists and no other file is named.
DEFAULT_CONFIG = Path("gate.toml")
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Thresholds and waivers (default: gate.toml if it exists).")
]
# Where `make mirror` puts it.
DEFAULT_REPOSITORY = Path(".cache/sglang.git")
RepositoryOption = Annotated[
    Path,
    typer.Option("--repo", help="The repository that knows the commits: their order, subjects and tags."),
]


def read_commits(repository: Path) -> dict[str, KnownCommit]:
    """Return the commits of `--repo`, none where it was not given; raises UsageError for no repository."""
    from reports.load.commits import known_commits

    if repository == DEFAULT_REPOSITORY and not repository.exists():
        return {}
    return known_commits(repository)


def ordered_by(
    results: Results, known: Mapping[str, KnownCommit], repository: Path, console: Console
) -> Results:
    """Return the results in the order of a repository's commits; say which of them it does not know."""
    from reports.load.commits import in_their_order, unknown_commits

    unknown = unknown_commits(results, known) if known else ""
    if unknown:
        print_line(
            console,
            f"note: {repository} does not know {unknown}: they have no place in its order; name the "
            "repository that was measured with --repo, or fetch into it",
        )
    return in_their_order(results, known)


def read_config(path: Path | None) -> Config:
    """Return the configuration of `--config`; raises ConfigError."""
    from reports.detect.config import Config, load_config

    if path is not None:
        return load_config(path)
    return load_config(DEFAULT_CONFIG) if DEFAULT_CONFIG.exists() else Config()
