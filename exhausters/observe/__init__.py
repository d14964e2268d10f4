"""Observe a scheduler: one frozen record a step, and the metrics that follow from the records.

`recorder` runs inside the worker; everything else works on its records, in the worker or the parent.
"""
