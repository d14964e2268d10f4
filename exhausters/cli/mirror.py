"""`exhausters mirror`: make a local history of SGLang."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exhausters.console import error_console, errors_shown, output_console, print_line
from exhausters.extras import require_extra
from exhausters.targets import NEWEST_RELEASE, SUPPORTED_RELEASES

DEFAULT_MIRROR = ".cache/sglang.git"


def mirror(
    range_: Annotated[
        str | None,
        typer.Argument(
            metavar="[RANGE]",
            help="0.5.13..0.5.23, both ends included; by default all supported releases, or HEAD of a clone.",
        ),
    ] = None,
    source: Annotated[
        str, typer.Option("--from", metavar="SOURCE", help="pypi, or a clone: a folder or a URL.")
    ] = "pypi",
    into: Annotated[Path, typer.Option(help="A bare repository; created if it does not exist.")] = Path(
        DEFAULT_MIRROR
    ),
) -> None:
    """Make a local history of SGLang for commit ranges: a commit and a tag for each release."""
    errors = error_console()
    with errors_shown(errors):
        require_extra("mirror", what="exhausters mirror")
    from exhausters.mirror import configured_index, mirror_clone, mirror_releases, parse_range
    from exhausters.progress import ShownProgress

    with errors_shown(errors), ShownProgress(errors) as progress:
        if source == "pypi":
            report = mirror_releases(
                parse_range(range_ or f"{SUPPORTED_RELEASES[0]}..{NEWEST_RELEASE}"),
                into,
                configured_index(),
                on_progress=progress.say,
                on_step=progress.step,
            )
        else:
            report = mirror_clone(source, range_, into, on_progress=progress.say)
        for note in report.notes:
            progress.note(note)
    held = f"{report.tags[0]} to {report.tags[-1]}" if report.tags else "no release"
    line = f"{report.directory}: {len(report.tags)} releases, {held}; {len(report.added)} added"
    print_line(output_console(), line)
