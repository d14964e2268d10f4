"""The engine settings that tests on the real scheduler share; each costs one boot.

Pairwise between them: page sizes 1, 16 and 64, tree cores, radix cache on and off, both event loops.
"""

from __future__ import annotations

from exhausters.engine.settings import HostSettings
from exhausters.engine.sglang.null_models import EOS_TOKEN

MAIN = HostSettings(
    engine={
        "page_size": 16,
        "max_total_tokens": 4096,
        "max_running_requests": 32,
        "chunked_prefill_size": 128,
        "enable_priority_scheduling": True,
    },
    tree_core="rust",
)
PYTHON_CORE = HostSettings(
    engine={
        "page_size": 1,
        "max_total_tokens": 4096,
        "max_running_requests": 32,
        "chunked_prefill_size": 128,
        "disable_overlap_schedule": True,
        "enable_mixed_chunk": True,
        "schedule_policy": "lpm",
    },
    tree_core="python",
)
# The model emits the end of text: what stops a request is the request's own settings.
NO_CACHE_EOS = HostSettings(
    engine={
        "page_size": 64,
        "max_total_tokens": 4096,
        "max_running_requests": 16,
        "chunked_prefill_size": 256,
        "disable_radix_cache": True,
    },
    emitted_token=EOS_TOKEN,
)
ENGINES = {"main": MAIN, "python-core": PYTHON_CORE, "no-cache-eos": NO_CACHE_EOS}
