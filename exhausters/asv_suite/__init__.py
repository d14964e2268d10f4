"""What asv needs to run the harness over a range of commits; the suites themselves are in `benchmarks/`.

The road through the files: `environment` (asv's idea of an installed commit, as a target) -> `measure` (one
sweep a commit, shared by all benchmarks) -> `subjects` (which metric belongs to which suite) -> `suite` (the
classes that asv discovers).
"""
