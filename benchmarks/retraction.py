"""What is retracted, and what computing it again costs."""

from exhausters.asv_suite.suite import subject_suite

Retraction = subject_suite("Retraction", subject="retraction", module=__name__)
