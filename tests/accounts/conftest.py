"""What the tests of accounts share."""

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def fresh_limits(db: None) -> None:
    """Rate limits of one test are not the next one's."""
    cache.clear()
