"""Own reading figures that an evaluation stored, whenever it did: some carry an interval only since November 2026."""

from typing import Any


def figure_of(stored: Any) -> dict[str, float | None]:
    """{"value", "low", "high"} of a stored figure; without an interval where only a number was kept, or null."""
    if isinstance(stored, dict):
        return {name: stored.get(name) for name in ("value", "low", "high")}
    return {"value": stored, "low": None, "high": None}
