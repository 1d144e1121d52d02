"""Turns figures into files: SVG without inline styles, and PNG."""

import io
import re
from typing import Final
from xml.sax.saxutils import escape

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.charts import PAPER
from training.charts.style import style

PNG_DPI: Final = 200
TYPEFACES: Final = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"

_STYLE_ATTRIBUTE: Final = re.compile(r'\sstyle="([^"]*)"')
_STYLE_ELEMENT: Final = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_FONT: Final = re.compile(r"(?:(?P<style>italic|oblique)\s+)?(?:(?P<weight>bold|\d{3})\s+)?(?P<size>[\d.]+)px\s+.*")
_ROOT: Final = re.compile(r"<svg ([^>]*)>", re.DOTALL)


def as_svg(figure: Figure, *, title: str, description: str) -> str:
    """The figure as SVG with a name and a description for screen readers.

    matplotlib writes CSS into `style` attributes, which a page without `unsafe-inline` ignores. Here the same
    properties become presentation attributes, so the file looks the same under any policy, alone or inside a page.
    """
    with style():
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = _STYLE_ELEMENT.sub("", text, count=1)
    text = _STYLE_ATTRIBUTE.sub(lambda match: _attributes(match[1]), text)
    named = (
        (
            f'<svg role="img" aria-labelledby="title description" stroke-linejoin="round" stroke-linecap="butt" '
            f'\\1>\n<title id="title">{escape(title)}</title>\n<desc id="description">{escape(description)}</desc>'
        )
        .replace("\\", "\\\\")
        .replace("\\\\1", "\\1")
    )
    return _ROOT.sub(named, text, count=1)


def as_png(figure: Figure) -> bytes:
    """The figure on white paper, for documents and slides."""
    FigureCanvasAgg(figure)
    with style():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=PNG_DPI, facecolor=PAPER, metadata={"Software": None})
    return buffer.getvalue()


def _attributes(css: str) -> str:
    found: dict[str, str] = {}
    for declaration in css.split(";"):
        name, colon, value = declaration.partition(":")
        name, value = name.strip(), value.strip()
        if not colon:
            continue
        if name == "font":
            match = _FONT.fullmatch(value)
            if match is None:
                continue
            found["font-size"] = f"{match['size']}px"
            found["font-family"] = TYPEFACES
            if match["weight"]:
                found["font-weight"] = match["weight"]
        elif name == "font-family":
            found[name] = TYPEFACES
        else:
            found[name] = value
    return "".join(f' {name}="{value}"' for name, value in found.items())
