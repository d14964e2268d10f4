"""`python -m exhausters.targets ARGUMENTS`: runs uv with pip's settings, for `make constraints`."""

import sys

from exhausters.targets.installer import run_uv

sys.exit(run_uv(sys.argv[1:]))
