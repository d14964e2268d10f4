"""The numbers that decide. `docs/verdicts.md` states what each of them decides; a test compares both."""

from __future__ import annotations

from typing import Final

# Relative difference up to which two counts of work are the same.
from exhausters.sweep.same_result import WORK_TOLERANCE as WORK_TOLERANCE

# False discovery rate of one family of tests of noisy metrics (Benjamini-Hochberg).
FDR_LEVEL: Final = 0.05
# Pairs of base and head that a noisy metric of a cell needs before it is judged.
MIN_PAIRS: Final = 10
# The rarer of the two orders (base first, head first) must hold at least this share of the pairs.
MIN_ORDER_SHARE: Final = 0.4
# Level of the confidence interval of a median ratio.
CONFIDENCE_LEVEL: Final = 0.95
# Builds that must lie on each side of a change point in a noisy history.
MIN_SEGMENT_BUILDS: Final = 4
# Penalty of a change point, in units of noise variance times the logarithm of the series' length.
CHANGE_POINT_PENALTY: Final = 2.0
# Two metrics belong to one headline when this share of the cells of both is common.
GROUP_OVERLAP: Final = 0.5
# A region describes a loss when at least this share of its cells is worse.
REGION_PRECISION: Final = 0.8
# Characters that GitHub accepts in one comment.
GITHUB_COMMENT_LIMIT: Final = 65_536
