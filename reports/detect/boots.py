"""Whether a change of host time shows in more than one pair of processes.

Where memory lies differs from process to process, for as long as one lives: two processes of one build have
differed by more than a tenth in all of their pairs (docs/trust.md). No number of pairs of one pair of
processes tells that from a change of the code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reports.detect.measured import Floats

ONE_BOOT = "one pair of processes, and another is needed: two processes of one build can differ as much"


def unconfirmed(log_ratios: Floats, boots: Sequence[object], smallest_log_effect: float) -> str:
    """Return why what all pairs show together is no change yet; empty if each pair of processes shows it.

    Args:
        log_ratios: log(head / base) of each pair.
        boots: the number of the pair of processes of each; missing where that is not known, as in records
            of others: then there is nothing to ask.
        smallest_log_effect: log(1 + smallest relative change of interest); each must reach it, on one side.
    """
    known = pd.Series(log_ratios).groupby(pd.Series(list(boots), dtype="Int64"))
    if not known.ngroups:
        return ""
    medians = known.median().to_numpy(dtype=np.float64)
    if len(medians) == 1:
        return ONE_BOOT
    if (medians >= smallest_log_effect).all() or (medians <= -smallest_log_effect).all():
        return ""
    shown = " and ".join(f"{100 * np.expm1(one):+.1f} %" for one in medians)
    return f"pairs of processes do not agree: {shown}"
