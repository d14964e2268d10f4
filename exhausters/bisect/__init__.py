"""Which commit changed a decision or a metric: git's bisection over first parents, one run per commit."""
