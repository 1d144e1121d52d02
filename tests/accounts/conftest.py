"""Shared fixtures of the tests of accounts."""

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def fresh_limits(db: None) -> None:
    """Clear the rate limits between tests."""
    cache.clear()
