"""Gives sources without a commit of their own an identity: a digest of what differs from the commit."""

from __future__ import annotations

import hashlib
from pathlib import Path

from exhausters.targets.git import checkout_diff, untracked_files

__all__ = ["changes_digest"]

# As many hexadecimal digits as git shows of a commit.
_DIGITS = 9


def changes_digest(source_dir: Path, commit: str | None, *, dirty: bool) -> str | None:
    """Return a short digest of the sources as far as no commit says what they are; None for clean ones.

    Args:
        source_dir: the folder that contains `sglang/`.
        commit: the commit that is checked out; None where git does not track the sources, so that the digest
            is that of all their Python files.
        dirty: whether the files differ from the commit.
    """
    if commit is not None and not dirty:
        return None
    digest = hashlib.sha256()
    files = untracked_files(source_dir, "sglang/*.py") if commit else None
    if files is not None:
        digest.update(checkout_diff(source_dir))
    for file in sorted(files if files is not None else _python_files(source_dir)):
        digest.update(f"{file}\0".encode())
        digest.update(hashlib.sha256((source_dir / file).read_bytes()).digest())
    return digest.hexdigest()[:_DIGITS]


def _python_files(source_dir: Path) -> list[str]:
    return [path.relative_to(source_dir).as_posix() for path in (source_dir / "sglang").rglob("*.py")]
