"""A small scheduler in plain Python behind the same api as SGLang's, for tests.

It decides in its own way (first come, first served; admit what fits now; newest first to be retracted), so
nothing measured on it says anything about SGLang. `tests/engine/test_contract.py` runs the same scripts on it
and on the real scheduler.
"""
