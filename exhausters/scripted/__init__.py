"""The scripted-runtime API of SGLang, in process, without an HTTP server or a GPU.

A script is a generator function that is given a `ScriptedContext`; each `yield` lets the scheduler do
exactly one iteration of its own event loop. Names and meanings are those of SGLang's
`sglang/test/scripted_runtime` (0.5.13 to 0.5.23).
"""
