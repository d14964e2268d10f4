"""A small engine in plain Python that keeps the contract of `exhausters.engine.api`, for unit tests."""
