"""Tells from a build's source text whether a scheduler of it can be driven here."""

from __future__ import annotations

from pathlib import Path

from exhausters.errors import SeamError

__all__ = ["require_entry_point"]

# Named by builds whose scheduler calls a scripted hook, which came with 0.5.13.
_HOOK = b"maybe_init_scripted_scheduler_hook"
# The door for models from elsewhere, which came with 0.5.6; schedulers since then are stepped without hook.
_DOOR = b"SGLANG_EXTERNAL_MODEL_PACKAGE"
_MANAGERS = Path("sglang", "srt", "managers")
# Where the door is, or was; a build that keeps it elsewhere is looked through.
_DOOR_FILES = (Path("sglang", "srt", "environ.py"), Path("sglang", "srt", "models", "registry.py"))


def require_entry_point(name: str, source_dir: Path) -> None:
    """Refuse a build that could never boot here, before an environment is built for it.

    Raises:
        SeamError: its scheduler has no hook for scripts, and it takes no null model.
    """
    scheduler = source_dir / _MANAGERS / "scheduler.py"
    # Without that file the build is laid out in another way: the boot will say what it lacks.
    if not scheduler.is_file() or _HOOK in scheduler.read_bytes():
        return
    if any(_HOOK in file.read_bytes() for file in (source_dir / _MANAGERS).rglob("*.py")):
        return
    likely = [source_dir / file for file in _DOOR_FILES]
    if any(file.is_file() and _DOOR in file.read_bytes() for file in likely):
        return
    if any(_DOOR in file.read_bytes() for file in (source_dir / "sglang" / "srt").rglob("*.py")):
        return
    raise SeamError(
        f"{name}: it takes no model from elsewhere (nothing names {_DOOR.decode()}, which came with 0.5.6), "
        f"and its scheduler has no {_HOOK.decode()} (which came with 0.5.13); expected 0.5.6 or newer"
    )
