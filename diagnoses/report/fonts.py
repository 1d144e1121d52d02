"""The fonts of the report: DejaVu Sans, which has every letter of Kazakh, Russian and English.

The files are those that come with matplotlib, found without importing it. A report embeds only the glyphs it uses.
"""

import importlib.util
import threading
from pathlib import Path
from typing import Final

REGULAR: Final = "TeriSans"
BOLD: Final = "TeriSans-Bold"

FILES: Final = {REGULAR: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf"}

_lock = threading.Lock()


def font_folder() -> Path:
    """Where matplotlib keeps its fonts. Raises FileNotFoundError where it is not installed."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        raise FileNotFoundError("The report needs the fonts that come with matplotlib, which is not installed.")
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"


def register_fonts() -> None:
    """Make the two fonts known to the PDF library, once for each process: reading them takes a quarter of a second."""
    from reportlab.lib.fonts import addMapping
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    with _lock:
        known = set(pdfmetrics.getRegisteredFontNames())
        if set(FILES) <= known:
            return
        for name, file in FILES.items():
            pdfmetrics.registerFont(TTFont(name, str(font_folder() / file)))
        # <b> inside a paragraph; there is no italic, and nothing here is set in it.
        for italic in (0, 1):
            addMapping(REGULAR, 0, italic, REGULAR)
            addMapping(REGULAR, 1, italic, BOLD)
