"""What the nightly pytest-benchmark suite needs; the benchmarks themselves are in `benchmarks/gate/`.

Read in this order: `measured_cells` (boots a worker and runs a cell's rounds), `scripts` (runs in the worker
and times itself), `cpu_timer` (passes those times to pytest-benchmark), `benchmark_info` (what is stored
beside them).
"""
