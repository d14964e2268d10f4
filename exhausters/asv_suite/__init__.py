"""What asv needs to run the harness over a range of commits; the suites themselves are in `benchmarks/`.

Read the files in this order: `environment` (asv's idea of an installed commit, as a target), `suite_grid` and
`measure` (one sweep per commit, shared by all benchmarks), `subjects` (which metric belongs to which suite),
`suite` (the classes that asv discovers), `reading` (how asv gets a value without a process).
"""
