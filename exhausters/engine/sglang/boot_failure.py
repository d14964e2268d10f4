"""Tells from the traceback of a failed boot whether a feature failed for want of a GPU."""

from __future__ import annotations

from collections.abc import Sequence

from exhausters.errors import UnsupportedSettingError

# What a boot says that fails for want of a GPU, or of kernels that are built for one.
LACKS = ("CUDA", "cuda", "sgl_kernel", "ImportError", "ModuleNotFoundError")


def lacking(
    text: str, asked: str, *, files: Sequence[str], words: Sequence[str] = LACKS
) -> UnsupportedSettingError | None:
    """Return the refusal of a feature that does not come up here; None for any other failure.

    Whatever else fails in a file of the feature is a fault of that SGLang, and no refusal.

    Args:
        text: SGLang's own traceback.
        asked: the switch that asks for the feature, as it is shown.
        files: parts of the names of files that a boot without the feature does not run.
        words: what the last line must have one of.
    """
    frames = [line for line in text.splitlines() if line.startswith('  File "')]
    if not any(name in line for line in frames for name in files):
        return None
    lines = [line for line in text.strip().splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if not line.startswith(" ")), "no reason")
    if not any(word in said for word in words):
        return None
    return UnsupportedSettingError(f"{asked}: it does not come up on this machine with this SGLang: {said}")
