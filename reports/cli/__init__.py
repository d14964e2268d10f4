"""The command line: `python -m reports gate`, `build` and `history`."""
