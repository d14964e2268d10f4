"""CPU time of the scheduler's thread; noisy, so samples are kept."""

from exhausters.asv_suite.suite import subject_suite

HostTime = subject_suite("HostTime", subject="host_time", module=__name__)
