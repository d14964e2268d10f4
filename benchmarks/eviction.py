"""What is evicted from the tree cache, and what the cache still gives."""

from exhausters.asv_suite.suite import subject_suite

Eviction = subject_suite("Eviction", subject="eviction", module=__name__)
