"""`python -m exhausters.targets ARGUMENTS`: uv, with the settings of this machine's pip; for chores."""

import sys

from exhausters.targets.installer import run_uv

sys.exit(run_uv(sys.argv[1:]))
