"""Tells from a build's source text whether its scheduler has the entry point that scripts need."""

from __future__ import annotations

from pathlib import Path

from exhausters.errors import SeamError

__all__ = ["require_entry_point"]

_HOOK = b"maybe_init_scripted_scheduler_hook"
_MANAGERS = Path("sglang", "srt", "managers")


def require_entry_point(name: str, source_dir: Path) -> None:
    """Refuse a build that could never boot here, before an environment is built for it.

    Raises:
        SeamError: its scheduler has no hook for scripts.
    """
    scheduler = source_dir / _MANAGERS / "scheduler.py"
    # Without that file the build is laid out in another way: the boot will say what it lacks.
    if not scheduler.is_file() or _HOOK in scheduler.read_bytes():
        return
    if any(_HOOK in file.read_bytes() for file in (source_dir / _MANAGERS).rglob("*.py")):
        return
    raise SeamError(
        f"{name}: its scheduler has no {_HOOK.decode()}, which drives scripts; it came with "
        "0.5.13, older code is not supported"
    )
