"""What SGLang's source says without being imported; standard library only, read by the parent process."""

from __future__ import annotations

# The folder, below the one that contains `sglang/`, that holds all the scheduler executes.
WATCHED = "sglang/srt"
