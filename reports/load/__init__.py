"""Read the results of three suites into one tidy pandas frame."""
