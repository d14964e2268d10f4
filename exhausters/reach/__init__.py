"""How much of what changed between two builds was executed by the runs that compare them."""
