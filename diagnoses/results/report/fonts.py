"""The fonts of the report: DejaVu Sans, which has every letter of Kazakh, Russian and English.

The files and their licence lie in `dejavu/`. A report embeds only the glyphs it uses.
"""

import threading
from pathlib import Path
from typing import Final

REGULAR: Final = "TeriSans"
BOLD: Final = "TeriSans-Bold"

FOLDER: Final = Path(__file__).parent / "dejavu"
FILES: Final = {REGULAR: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf"}

_lock = threading.Lock()


def register_fonts() -> None:
    """Register the two fonts with the PDF library, once per process: reading them takes a quarter of a second."""
    from reportlab.lib.fonts import addMapping
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    with _lock:
        known = set(pdfmetrics.getRegisteredFontNames())
        if set(FILES) <= known:
            return
        for name, file in FILES.items():
            pdfmetrics.registerFont(TTFont(name, str(FOLDER / file)))
        # For <b> inside a paragraph. There is no italic font and no italic text.
        for italic in (0, 1):
            addMapping(REGULAR, 0, italic, REGULAR)
            addMapping(REGULAR, 1, italic, BOLD)
