"""`exhausters check`: the oracles over a grid, on one build, and a script for each promise that is broken."""
