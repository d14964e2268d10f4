"""Calls, operators and synchronisations of the scheduler itself."""

from exhausters.asv_suite.suite import subject_suite

Work = subject_suite("Work", subject="work", module=__name__)
