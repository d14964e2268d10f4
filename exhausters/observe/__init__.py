"""Observe a scheduler: one frozen record per step, and the metrics computed from the records.

`recorder` runs inside the worker; everything else works on its records, in the worker or the parent.
"""
