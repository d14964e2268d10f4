"""How long prompts are cut into chunks."""

from exhausters.asv_suite.suite import subject_suite

ChunkedPrefill = subject_suite("ChunkedPrefill", subject="chunked_prefill", module=__name__)
