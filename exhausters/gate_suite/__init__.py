"""What the nightly pytest-benchmark suite needs; the benchmarks themselves are in `benchmarks/gate/`.

The road through the files: `bench` (boots, and runs the rounds of a cell) -> `scripts` (what runs in the
worker and times itself) -> `clock` (hands those times to pytest-benchmark) -> `extra_info` (everything
else that is written beside them).
"""
