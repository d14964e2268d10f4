"""How long the detector takes on a long history: 200 commits x 200 cells x 40 metrics by default.

    python -m benchmarks.bench_detect_history [COMMITS CELLS METRICS]

A quarter of the metrics is host time, with an anchor beside each build; a loss is planted in the middle.
Prints the seconds for making the frame and for judging it; fails when judging takes longer than the limit, or
misses what was planted.
"""

from __future__ import annotations

import sys
import time
from typing import Any

SIZE = (200, 200, 40)
LIMIT_SECONDS = 30.0
SEED = 7
# The share of metrics that are noisy.
HOST_SHARE = 0.25


def make_frame(commits: int, cells: int, metrics: int) -> Any:
    """A tidy frame of that size; columns as `reports.load.frame` describes them."""
    # Imported here: asv imports this folder where pandas need not be.
    import numpy as np
    import pandas as pd

    from reports.detect.comparable import SAME_EVERYWHERE, SAME_IN_EACH_CELL

    draw = np.random.default_rng(SEED)
    hosts = int(metrics * HOST_SHARE)
    exact = metrics - hosts
    levels = np.broadcast_to(draw.integers(10, 9_000, (1, cells, exact)), (commits, cells, exact)).astype(
        float
    )
    levels = levels.copy()
    levels[commits // 2 :, : cells // 10, 0] *= 1.1
    parts = [_rows(levels, "exact", "decision", [f"c{number:04d}" for number in range(commits)])]
    speed = np.exp(0.3 * draw.normal(size=(commits, 1, 1)))
    for target in ("anchor", ""):
        seconds = speed * np.exp(0.03 * draw.normal(size=(commits, cells, hosts)))
        if not target:
            seconds[commits // 2 :, : cells // 10, 0] *= 1.1
        names = [target or f"c{number:04d}" for number in range(commits)]
        parts.append(_rows(seconds, "host", "host_time", names))
    frame = pd.concat(parts, ignore_index=True)
    # What must be equal over a range of builds is equal here.
    texts = ("target", "session", "cell", "metric", "kind", "unit", "better", "outcome")
    frame = frame.astype(dict.fromkeys(texts, "category"))
    for name, *_ in (*SAME_EVERYWHERE, *SAME_IN_EACH_CELL):
        frame[name] = pd.Categorical.from_codes(np.zeros(len(frame), dtype=np.int8), categories=["same"])
    # Columns of rows that say how a run ended; there are none here.
    frame[["decision_digest", "reason", "log_path", "provenance"]] = None
    return frame


def _rows(values: Any, prefix: str, kind: str, targets: list[str]) -> Any:
    import numpy as np
    import pandas as pd

    commits, cells, metrics = values.shape
    commit, cell, metric = (index.ravel() for index in np.indices(values.shape))
    return pd.DataFrame(
        {
            "target": np.array(targets, dtype=object)[commit],
            "session": np.array([f"session{number}" for number in range(commits)], dtype=object)[commit],
            "cell": np.array([f"cell{number}" for number in range(cells)], dtype=object)[cell],
            "metric": np.array([f"{prefix}{number}" for number in range(metrics)], dtype=object)[metric],
            "kind": kind,
            "unit": "",
            "better": "lower",
            "outcome": "drained",
            "round": 0,
            "smallest_effect": 0.05 if kind == "host_time" else 0.0,
            "value": values.ravel(),
        }
    )


def main(commits: int, cells: int, metrics: int) -> int:
    """Make the frame, judge it, print the times; 1 when it took too long or missed what was planted."""
    from reports import detect_history

    started = time.perf_counter()
    frame = make_frame(commits, cells, metrics)
    made = time.perf_counter()
    history = detect_history(frame, [f"c{number:04d}" for number in range(commits)], anchor="anchor")
    judged = time.perf_counter() - made
    print(
        f"{len(frame):,} rows made in {made - started:.1f} s, judged in {judged:.1f} s "
        f"(limit {LIMIT_SECONDS:g} s)"
    )
    found = history.changes.groupby("metric", observed=True).size().to_dict()
    print(f"changes by metric: {found}; planted: {cells // 10} each in exact0 and host0")
    planted = found.get("exact0") == cells // 10 and found.get("host0", 0) >= 0.9 * (cells // 10)
    return 0 if judged <= LIMIT_SECONDS and planted else 1


if __name__ == "__main__":
    sys.exit(main(*(map(int, sys.argv[1:]) if len(sys.argv) > 1 else SIZE)))
