"""The environment variables that the fake engine's worker does not inherit."""

from __future__ import annotations

# None is read: it stands in for SGLang in tests, so its worker gets what SGLang's would.
AMBIENT_PREFIXES = ("SGLANG_", "SGL_")
