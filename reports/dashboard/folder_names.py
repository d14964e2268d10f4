"""Cut the names of folders to their last component: a page is passed on to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from reports.load.frame import Results


def short_names(results: Results, targets: Sequence[str]) -> dict[str, str]:
    """Return the short name of each folder, file and local target.

    Longer names come first, so that a folder inside another is cut before the other.
    """
    folders = {session.name: PurePath(session.name).name for session in results.sessions}
    folders |= {skipped.place: PurePath(skipped.place).name for skipped in results.skipped}
    for target in targets:
        kind, colon, rest = target.partition(":")
        if colon and kind in ("path", "git"):
            path, at, revision = rest.partition("@")
            folders[target] = f"{kind}:{PurePath(path).name}{at}{revision}"
            folders[rest] = f"{PurePath(path).name}{at}{revision}"
    names = {name: short for name, short in folders.items() if short and short != name}
    return dict(sorted(names.items(), key=lambda pair: -len(pair[0])))


def shortened(value: Any, names: Mapping[str, str]) -> Any:
    """Return plain JSON values with every name in their texts replaced by its short one."""
    if isinstance(value, str):
        for name, short in names.items():
            if name in value:
                value = value.replace(name, short)
        return value
    if isinstance(value, Mapping):
        return {key: shortened(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [shortened(one, names) for one in value]
    return value
