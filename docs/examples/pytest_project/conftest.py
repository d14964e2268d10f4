"""Fixtures of the project; the plugin needs nothing here."""

import pytest


@pytest.fixture
def prompt_tokens() -> int:
    """A prompt of four chunks; a script gets a fixture's value as it gets a parameter's."""
    return 1024
