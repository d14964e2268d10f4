"""Why two builds differ in one cell: the first divergence, what each function costs, the smallest reproducer.

`explain_difference` in `exhausters.why.explain` does all of it.
"""
