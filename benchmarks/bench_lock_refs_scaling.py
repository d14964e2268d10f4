"""How pinning scales with the number of radix nodes: one walk, against a walk per pin.

Runs on a stand-in for SGLang's tree, so it times the exhauster's own work, not SGLang's.

    pytest benchmarks/bench_lock_refs_scaling.py          timed by pytest-benchmark
    python -m benchmarks.bench_lock_refs_scaling          prints the table, fails above the limits

The naive double walks the whole tree again for every pin; its sizes stop where that takes seconds.
"""

from __future__ import annotations

import sys
import time
from typing import Any

NODE_COUNTS = (100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 20_000)
NAIVE_NODE_COUNTS = tuple(count for count in NODE_COUNTS if count <= 3_200)
SEED = 7
# Of pinning the largest tree, which takes about 0.1 s.
LIMIT_SECONDS = 1.0


def make_exhauster(kind: str, node_count: int) -> tuple[Any, Any]:
    """A fresh exhauster and its tree, nothing pinned."""
    # Imported here: this folder is also imported where the tests' fakes are not installed.
    from exhausters.pressure import ScriptedLockRefExhauster
    from tests.engine.sglang.shapes import engine_over, random_tree
    from tests.pressure.naive_lock_refs import NaiveLockRefExhauster

    tree = random_tree(node_count, seed=SEED)
    if kind == "naive":
        return NaiveLockRefExhauster(tree), tree
    return ScriptedLockRefExhauster(engine_over(tree)), tree


def pytest_generate_tests(metafunc: Any) -> None:
    cases = [("ours", count) for count in NODE_COUNTS] + [("naive", count) for count in NAIVE_NODE_COUNTS]
    metafunc.parametrize(("kind", "node_count"), cases, ids=[f"{kind}-{count}" for kind, count in cases])


def test_pin_all_nodes(benchmark: Any, kind: str, node_count: int) -> None:
    """Pin every node of a random tree; node visits travel along as extra information."""
    trees = []

    def setup() -> tuple[tuple[Any], dict[str, Any]]:
        exhauster, tree = make_exhauster(kind, node_count)
        trees.append(tree)
        return (exhauster,), {}

    benchmark.group = f"pin {node_count} nodes"
    rounds = 1 if kind == "naive" and node_count > 400 else 5
    benchmark.pedantic(lambda exhauster: exhauster.exhaust(0), setup=setup, rounds=rounds)
    benchmark.extra_info.update(kind=kind, nodes=node_count, node_visits=trees[-1].node_visits)
    assert len(trees[-1].pins) == node_count


def measure(kind: str, node_count: int, *, repeats: int) -> tuple[float, int]:
    """Fastest time in milliseconds, and node visits, of pinning every node."""
    best_ms = float("inf")
    visits = 0
    for _ in range(repeats):
        exhauster, tree = make_exhauster(kind, node_count)
        started = time.perf_counter()
        exhauster.exhaust(0)
        best_ms = min(best_ms, (time.perf_counter() - started) * 1e3)
        visits = tree.node_visits
    return best_ms, visits


def main() -> int:
    """Print the table, in Markdown; 1 when pinning took too long or walked the tree more than once."""
    failures = []
    print("| nodes | one walk (ms) | walk per pin (ms) | node visits, one walk | node visits, walk per pin |")
    print("|---:|---:|---:|---:|---:|")
    for count in NODE_COUNTS:
        ours_ms, ours_visits = measure("ours", count, repeats=3)
        if count in NAIVE_NODE_COUNTS:
            naive_ms, naive_visits = measure("naive", count, repeats=1)
            naive = f"{naive_ms:,.1f}", f"{naive_visits:,}"
        else:
            naive = "not run", "not run"
        print(f"| {count:,} | {ours_ms:.2f} | {naive[0]} | {ours_visits:,} | {naive[1]} |", flush=True)
        if ours_visits != count + 1:
            failures.append(f"{count} nodes: {ours_visits} visits, expected one per node and one of the root")
    if ours_ms > LIMIT_SECONDS * 1e3:
        failures.append(f"{count} nodes: {ours_ms:.0f} ms, limit {LIMIT_SECONDS * 1e3:g} ms")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
