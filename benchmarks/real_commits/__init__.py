"""Commits of SGLang's real history, chosen by their titles, and what `exhausters compare` says of each."""
