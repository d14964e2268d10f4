"""How each cell ended, and whether anything at all was decided differently."""

from exhausters.asv_suite.suite import outcome_suite

Outcomes = outcome_suite("Outcomes", module=__name__)
