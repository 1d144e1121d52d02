"""The one chart library of the project: matplotlib, drawn without pyplot, in one restrained style.

A function of `bars`, `curves`, `distributions`, `epochs` or `grids` takes plain values and returns a `Figure`. `output`
turns it into a PNG or an SVG without inline styles, because the content security policy of the site allows none. Labels
are beside the thing they name, and colour-blind readers can tell the colours apart (Okabe and Ito 2008).

Only workers and commands import those modules, because they load matplotlib. The web process needs what follows here:
the neutral colours, and how they change on a dark page.
"""

from typing import Final

INK: Final = "#1c2733"
MUTED: Final = "#5a6672"
RULE: Final = "#dde3e8"
PAPER: Final = "#fefefe"

DARK_TWIN: Final = {INK: "#e6ebef", MUTED: "#a7b1ba", RULE: "#38424b", PAPER: "#171b1f"}
"""The neutral colours on a dark page. The colours of data are readable on both."""


def dark_twin(svg: str) -> str:
    """The same chart for a dark page: only the neutral colours change."""
    for light, dark in DARK_TWIN.items():
        svg = svg.replace(light, dark)
    return svg
