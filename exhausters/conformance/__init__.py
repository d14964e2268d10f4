"""SGLang's own scripted tests, run unmodified from a checkout, on that checkout's scheduler.

`discover` finds them by their syntax trees, `modules` maps what they import, `run` runs them in this process
and their scripts in workers, `player` is the worker's side. docs/conformance.md says what comes out.
"""
