"""What a worker's environment has, and what it does not inherit, whichever engine it boots."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Tells a worker from the process that starts workers.
IN_WORKER = "EXHAUSTERS_IN_WORKER"

#: Set for every worker before it starts.
WORKER_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # One thread each: the harness runs one worker per core, and counts must not depend on how many
        # threads a machine has.
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        IN_WORKER: "1",
    }
)

#: Not passed on to a worker: ambient settings that would change what is measured, or slow every import down.
DROPPED_VARIABLES = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")

#: Every variable that a grid may not set, those of the engine aside.
RESERVED_VARIABLES = frozenset({*WORKER_VARIABLES, *DROPPED_VARIABLES, "TMPDIR", "PYTHONPYCACHEPREFIX"})
