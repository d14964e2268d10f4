"""The seam between the harness and the scheduler under test.

`api` is what the rest of the harness speaks; `sglang` is the one package that touches SGLang; `fake` is a
small scheduler of our own behind the same api, for tests. `settings`, `clock`, `wrap` and `load` serve both.
"""
