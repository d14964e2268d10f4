"""Boot one SGLang scheduler in a worker process and talk to it.

`Host` (in `process`) is what the parent uses; it never imports sglang. Everything else here runs
inside the worker, in the target's own environment, and is the only code that imports sglang.
"""
