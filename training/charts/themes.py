"""Own the neutral colours of charts on light and dark pages, without matplotlib: the web process needs them."""

from typing import Final

INK: Final = "#1c2733"
MUTED: Final = "#5a6672"
RULE: Final = "#dde3e8"
PAPER: Final = "#fefefe"

DARK_TWIN: Final = {INK: "#e6ebef", MUTED: "#a7b1ba", RULE: "#38424b", PAPER: "#171b1f"}
"""What the neutral colours become on a dark page; the data colours are readable on both."""


def dark_twin(svg: str) -> str:
    """The same drawing for a dark page: only the neutral colours change."""
    for light, dark in DARK_TWIN.items():
        svg = svg.replace(light, dark)
    return svg
