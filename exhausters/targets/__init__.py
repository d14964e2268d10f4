"""Makes any SGLang ready to run: a release, a checkout or a commit becomes a Python environment.

Runs in the harness's own environment and never imports sglang. Read the files in this order:
`target_spec` (what the user wrote), `fetch` (where its sources are), `pins` and `distributions` (what it
needs), `environments` (a cached environment, made by `installer`), `prepare` (all of it in one call).
"""

from exhausters.targets.distributions import explain_missing_module
from exhausters.targets.prepare import PreparedTarget, prepare
from exhausters.targets.target_spec import (
    NEWEST_RELEASE,
    REACHED_RELEASES,
    SUPPORTED_RELEASES,
    TargetSpec,
    parse_target,
)

__all__ = [
    "NEWEST_RELEASE",
    "REACHED_RELEASES",
    "SUPPORTED_RELEASES",
    "PreparedTarget",
    "TargetSpec",
    "explain_missing_module",
    "parse_target",
    "prepare",
]
