"""Say where in the grid something changed, what changed together, and at which step decisions diverge."""
