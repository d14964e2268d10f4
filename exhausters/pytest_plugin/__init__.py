"""A pytest plugin: a script is a test function.

`plugin` is what pytest loads; it imports nothing of this project until a test asks for an engine. `player` is
the worker's side. docs/pytest_plugin.md says how to use it.
"""
