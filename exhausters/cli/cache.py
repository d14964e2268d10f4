"""`exhausters cache list` and `exhausters cache prune`: what is kept between commands, and less of it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from exhausters.console import error_console, errors_shown, headed_table, output_console, print_line
from exhausters.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhausters.targets.cache_space import CacheEntry

_DAY_SECONDS, _MEGABYTE, _GIGABYTE = 86_400, 1_000_000, 1_000_000_000

KindsOption = Annotated[
    list[str] | None, typer.Option("--kind", metavar="KIND", help="Of this kind only; repeatable.")
]

cache = typer.Typer(
    help="What is kept between commands: sources, environments, results. It can be deleted at any time.",
    no_args_is_help=True,
)


@cache.command("list")
def list_cache(
    kind: KindsOption = None,
    entries: Annotated[bool, typer.Option("--entries", help="A line for each entry.")] = False,
) -> None:
    """Print what the cache holds, by kind: how many entries, how large, when used last."""
    from exhausters.targets.cache import cache_root
    from exhausters.targets.cache_space import KINDS, cache_entries, shared_files, size_bytes
    from exhausters.targets.file_store import FILES_NAME

    console = output_console()
    with errors_shown():
        chosen = _kinds(kind)
        root, now = cache_root(), time.time()
        found = cache_entries(root)
        everything = [*found, shared_files(root)]
    names = Counter[tuple[int, int]]()
    for entry in found:
        names.update(entry.links)
    table = headed_table(f"{root}: {_size(size_bytes(everything))}")
    for heading in ("kind", "entries", "size", *(["alone"] if entries else []), "used last"):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    for name in chosen or KINDS:
        of_kind = [entry for entry in everything if entry.kind == name]
        # The files that commits share are counted with the commits, as long as one has them.
        if name == FILES_NAME:
            of_kind = [_orphans(of_kind[0], found)]
        if of_kind and (of_kind[0].inodes or name != FILES_NAME):
            count = "" if name == FILES_NAME else str(len(of_kind))
            blank = [""] if entries else []
            table.add_row(name, count, _size(size_bytes(of_kind)), *blank, _ago(of_kind, now))
            for entry in of_kind if entries and name != FILES_NAME else ():
                # What no other entry has: the cache is so much smaller without it.
                alone = sum(size for at, size in entry.inodes.items() if names[at] == entry.links[at])
                shown = Text(f"  {entry.path.name}")
                table.add_row(shown, "", _size(size_bytes([entry])), _size(alone), _ago([entry], now))
    console.print(table)


@cache.command("prune")
def prune_cache(
    kind: KindsOption = None,
    older_than: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="What was not used for so many days.")
    ] = None,
    max_size: Annotated[
        float | None,
        typer.Option(min=0, metavar="GB", help="The least recently used, down to this size."),
    ] = None,
    remove: Annotated[bool, typer.Option("--yes", help="Remove it; without, nothing is removed.")] = False,
) -> None:
    """Show what would be removed from the cache, and remove it with --yes; never what is in use."""
    from exhausters.targets.cache import cache_root
    from exhausters.targets.cache_prune import prune

    console = output_console()
    with errors_shown():
        chosen = _kinds(kind)
        if not chosen and older_than is None and max_size is None:
            raise UsageError("cache prune: expected what to remove: --kind, --older-than or --max-size")
        pruned = prune(
            cache_root(),
            kinds=chosen,
            unused_since=None if older_than is None else time.time() - older_than * _DAY_SECONDS,
            max_bytes=None if max_size is None else round(max_size * _GIGABYTE),
            is_dry=not remove,
        )
    done = "removed" if remove else "would remove"
    for entry in pruned.removed:
        print_line(console, f"{done} {entry.name}{' (half built)' if entry.is_half_built else ''}")
    for entry in pruned.kept_in_use:
        print_line(console, f"in use, stays: {entry.name}")
    print_line(console, f"{done} {len(pruned.removed)} entries, {_size(pruned.freed_bytes)}")
    if not remove and (pruned.removed or pruned.freed_bytes):
        print_line(error_console(), "nothing was removed; the same command with --yes removes it")


def _kinds(given: Sequence[str] | None) -> tuple[str, ...]:
    from exhausters.targets.cache_space import KINDS

    for name in given or ():
        if name not in KINDS:
            raise UsageError(f"--kind {name!r}: expected one of {', '.join(KINDS)}")
    return tuple(given or ())


def _orphans(store: CacheEntry, entries: Sequence[CacheEntry]) -> CacheEntry:
    """The part of the store that no commit has."""
    from dataclasses import replace

    held = {inode for entry in entries for inode in entry.inodes}
    return replace(store, inodes={inode: size for inode, size in store.inodes.items() if inode not in held})


def _size(count: int) -> str:
    return f"{count / _GIGABYTE:.1f} GB" if count >= _GIGABYTE else f"{count / _MEGABYTE:.1f} MB"


def _ago(entries: Sequence[CacheEntry], now: float) -> str:
    used = max((entry.used for entry in entries), default=0)
    if not used:
        return "half built"
    days = (now - used) / _DAY_SECONDS
    return "today" if days < 1 else f"{days:.0f} days ago"
