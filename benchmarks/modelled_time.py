"""Throughput and latency on the virtual clock."""

from exhausters.asv_suite.suite import subject_suite

ModelledTime = subject_suite("ModelledTime", subject="modelled_time", module=__name__)
