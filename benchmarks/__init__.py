"""The suites for asv, one module per subject; `bench_*.py` time the harness itself (`make bench-harness`).

The nightly suite for pytest-benchmark is in `gate/`, which is no package, so that asv does not import it.
"""
