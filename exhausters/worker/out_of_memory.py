"""Recognizes from a traceback or log that memory ran out, of the process or of one of SGLang's pools."""

from __future__ import annotations

# What SGLang's allocators, torch, Python and the C++ runtime say.
_PHRASES = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "memoryerror",
    "std::bad_alloc",
)
# The loader's words for a library that does not fit; without a limit they mean something else.
_PHRASES_UNDER_A_LIMIT = ("failed to map segment from shared object",)


def says_out_of_memory(text: str, *, limited: bool) -> bool:
    """Whether a traceback or log says so.

    Args:
        text: what was printed or raised.
        limited: whether the process had a memory limit of its own.
    """
    lowered = text.lower()
    phrases = _PHRASES + (_PHRASES_UNDER_A_LIMIT if limited else ())
    return any(phrase in lowered for phrase in phrases)
