"""How the cost of a step grows with context length, queue depth and tree size."""
