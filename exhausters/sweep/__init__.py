"""Sweep a grid of pressure over one target: cells, runs, records, and the table that shows them."""
