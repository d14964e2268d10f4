"""The suites: asv benchmarks for commit ranges, pytest-benchmark for the harness's own costs."""
