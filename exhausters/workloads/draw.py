"""Repeatable draws for the synthetic builders.

Numbers come from `random.Random.random()` only, the one method whose sequence Python promises to
keep, and times are whole microseconds: a digest must not depend on the Python or the machine.
"""

from __future__ import annotations

from random import Random

from exhausters.workloads.request import Request, Segment, require_int, require_seconds
from exhausters.workloads.tokens import stable_seed
from exhausters.workloads.workload import Workload

WARMUP_LEAF_TOKENS = 32


class Draw:
    """Everything random about one workload, from its builder's name and its seed (>= 0)."""

    def __init__(self, name: str, seed: int) -> None:
        require_int("seed", seed, minimum=0)
        self.name = name
        self.seed = seed
        self._random = Random(stable_seed(name, seed))  # noqa: S311  # a repeatable draw is the point

    def below(self, limit: int) -> int:
        """A whole number in [0, limit)."""
        return int(self._random.random() * limit)

    def around(self, name: str, mean: int) -> int:
        """A length in [mean - mean // 2, mean + mean // 2], so at least 1."""
        require_int(name, mean, minimum=1)
        return mean - mean // 2 + self.below(2 * (mean // 2) + 1)

    def later(self, clock: float, mean_gap_seconds: float) -> float:
        """An instant in [clock, clock + 2 * mean_gap_seconds)."""
        # Uniform, not exponential: a logarithm may differ in its last bit between C libraries.
        gap = 2 * require_seconds("mean gap or think time", mean_gap_seconds) * self._random.random()
        return microseconds(clock + gap)

    def segment(self, role: str, index: int, length: int) -> Segment:
        """A segment of its own; the same (role, index) is the same content."""
        return Segment(seed=stable_seed(self.name, self.seed, role, index), length=length)

    def workload(
        self, description: str, requests: list[Request], warmup: list[Request], warmup_leaves: int
    ) -> Workload:
        """Freeze; the warm-up ends with `warmup_leaves` prompts that are never repeated."""
        require_int("warmup_leaves", warmup_leaves, minimum=0)
        leaves = [
            warmup_request(f"warm-leaf-{index}", self.segment("warm-leaf", index, WARMUP_LEAF_TOKENS))
            for index in range(warmup_leaves)
        ]
        return Workload(
            name=self.name,
            seed=self.seed,
            description=description,
            requests=tuple(requests),
            warmup_requests=(*warmup, *leaves),
            source={"builder": self.name},
        )


def warmup_request(rid: str, *prompt: Segment) -> Request:
    """A request that leaves its prompt in the radix tree and nothing else."""
    return Request(rid=rid, arrival_seconds=0.0, prompt=prompt, max_new_tokens=1)


def microseconds(seconds: float) -> float:
    """`seconds` to the nearest microsecond."""
    return round(seconds * 1e6) / 1e6


def require_positive(**values: int) -> None:
    """Raise `WorkloadError` for the first value that is not an integer >= 1."""
    for name, value in values.items():
        require_int(name, value, minimum=1)
