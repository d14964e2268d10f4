"""Growth on the newest release: sizes are held, counts are exact, and two plants are told apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exhausters.growth.axes import AXES, CONTEXT, QUEUE, TREE, Point, engine_settings
from exhausters.growth.measure import PointRun
from exhausters.growth.window import (
    COUNT,
    EXACT_METRICS,
    EXACT_PASSES,
    LEAF_TOKENS,
    LINES,
    WINDOW_STEPS,
    measure_point,
)
from exhausters.growth.window_work import size_not_kept
from exhausters.sweep.workers import Workers
from exhausters.targets import PreparedTarget
from exhausters.worker.host import Host
from reports.detect.growth_windows import obstacles
from tests.conftest import newest_release
from tests.growth.planted_target import COPY_OF_TOKENS, SCAN_OF_QUEUE, planted

SMALL, LARGE = 16, 256
Metrics = dict[str, float]


@pytest.fixture(name="host", scope="module")
def _host() -> Iterator[Host]:
    with Workers(limit=1) as workers, workers.lend(newest_release(), engine_settings()) as host:
        yield host


@pytest.mark.real
@pytest.mark.parametrize("axis", [CONTEXT, QUEUE, TREE])
def test_one_size_is_swept_and_the_others_are_held(host: Host, axis: str) -> None:
    """Of two points of one axis the swept size differs, during the whole window, and no other does."""
    small, large = (host.run(measure_point, Point(axis=axis, size=size), (COUNT,)) for size in (64, 256))
    for before, after in ((small.before, large.before), (small.after, large.after)):
        differences = {
            CONTEXT: after.context_tokens - before.context_tokens,
            QUEUE: after.waiting - before.waiting,
            TREE: after.nodes - before.nodes,
        }
        assert differences == {**dict.fromkeys(differences, 0), axis: 192}
    assert abs(large.after.context_tokens - large.before.context_tokens) in (0, WINDOW_STEPS)
    for size, one in ((64, small), (256, large)):
        assert size_not_kept(Point(axis=axis, size=size), one.work, leaf_tokens=LEAF_TOKENS) == ""


@pytest.mark.real
def test_a_short_queue_is_kept_and_its_window_can_be_compared(host: Host) -> None:
    """At the smallest size two admitted requests are most of it: still kept, and twice the same work."""
    point = Point(axis=QUEUE, size=AXES[1].sizes[0])
    runs = [
        PointRun(target=target, point=point, window=host.run(measure_point, point, (COUNT,)))
        for target in ("a", "b")
    ]
    assert obstacles(runs, base="a", head="b", units={QUEUE: "waiting requests"}) == {}


@pytest.mark.real
def test_counts_of_a_point_are_exact(host: Host) -> None:
    """Two measurements of one point count and decide the same."""
    first, second = (host.run(measure_point, Point(axis=QUEUE, size=64), (COUNT, LINES)) for _ in range(2))
    assert first == second


def _growth(target: PreparedTarget) -> Metrics:
    """How much more a step of the large queue has than one of the small one, by metric."""
    with Workers(limit=1) as workers, workers.lend(target, engine_settings()) as host:
        small, large = (
            host.run(measure_point, Point(axis=QUEUE, size=size), EXACT_PASSES).metrics
            for size in (SMALL, LARGE)
        )
    return {name: large[name] - small[name] for name in EXACT_METRICS}


@pytest.mark.slow
def test_a_copy_is_seen_in_bytes_and_a_scan_in_lines(tmp_path: Path) -> None:
    """A copy of the queue's tokens moves bytes alone, a scan lines alone."""
    stock = _growth(newest_release())
    copied = _growth(planted(COPY_OF_TOKENS, tmp_path / "copied"))
    scanned = _growth(planted(SCAN_OF_QUEUE, tmp_path / "scanned"))
    counts = ("python_calls_per_step", "c_calls_per_step", "tensor_bytes_per_step")
    for name in counts:
        assert copied[name] == scanned[name] == stock[name]
    more = LARGE - SMALL
    # A list has 8 bytes for each of the 64 tokens of a request.
    assert copied["python_bytes_per_step"] - stock["python_bytes_per_step"] > 8 * 64 * more
    assert copied["executed_lines_per_step"] == stock["executed_lines_per_step"]
    # A line of the loop for each request that waits when the step begins.
    assert scanned["executed_lines_per_step"] - stock["executed_lines_per_step"] == pytest.approx(
        more, rel=0.05
    )
