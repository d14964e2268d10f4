"""Fuzz: seeded random scripts against one build, judged at every step, cut down to what breaks a promise.

A worker imports `operations`, `play` and `sometimes`: the standard library only. The parent draws scripts
with hypothesis (`generate`), plays them (`campaign`) and shrinks what was found (`shrink`).
"""
