"""How batches are formed: steps, requests and tokens per batch, waiting."""

from exhausters.asv_suite.suite import subject_suite

BatchFormation = subject_suite("BatchFormation", subject="batch_formation", module=__name__)
