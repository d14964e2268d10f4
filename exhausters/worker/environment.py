"""What a worker's environment has, and what it does not inherit, whichever engine it boots."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from exhausters.engine.load import ambient_prefixes
from exhausters.targets import PreparedTarget

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


def worker_environment(
    target: PreparedTarget, scratch: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return the environment of a worker: what is left of this process's, what all workers have, and its own.

    Args:
        target: what it imports.
        scratch: folder for temporary files.
        variables: its own.
    """
    ambient = ambient_prefixes(target.engine)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in DROPPED_VARIABLES and not name.startswith(ambient)
    }
    kept.update(WORKER_VARIABLES, TMPDIR=str(scratch))
    if target.pycache_prefix is not None:
        kept["PYTHONPYCACHEPREFIX"] = str(target.pycache_prefix)
    kept.update(variables)
    return kept
