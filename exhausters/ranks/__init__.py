"""Engines of several ranks: one process each, which a script on the first rank drives in lockstep.

`processes` forks and ends them, `leader` is what the first rank has of the others, `follower` is what
runs in each of those, `messages` is what they say to each other, and `agreement` compares what they decided.
"""
