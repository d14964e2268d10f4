"""How far the answers can be trusted: planted changes, a release against itself, the power of host time."""
