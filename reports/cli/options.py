"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reports.detect.config import Config

# Read when it exists and no other file is named.
DEFAULT_CONFIG = Path("gate.toml")
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Thresholds and waivers (default: gate.toml if it exists).")
]
# Where `make mirror` puts it.
DEFAULT_REPOSITORY = Path(".cache/sglang.git")
RepositoryOption = Annotated[
    Path, typer.Option("--repo", help="The repository that holds the tags and subjects of the commits.")
]


def read_config(path: Path | None) -> Config:
    """Return the configuration of `--config`; raises ConfigError."""
    from reports.detect.config import Config, load_config

    if path is not None:
        return load_config(path)
    return load_config(DEFAULT_CONFIG) if DEFAULT_CONFIG.exists() else Config()
