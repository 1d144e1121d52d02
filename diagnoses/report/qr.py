"""An address as a QR code, to be held before another phone. The encoder is that of the PDF library."""

from dataclasses import dataclass
from typing import Final

QUIET_ZONE: Final = 4
"""Empty modules around the code: what the standard (ISO/IEC 18004) asks for."""


@dataclass(frozen=True)
class QrCode:
    """A square of `size` modules a side, with its quiet zone; `path` is the dark ones as SVG path data."""

    size: int
    path: str


def qr_code(text: str) -> QrCode:
    """`text` in the smallest code that holds it and is still read with a seventh of it covered (level M)."""
    from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel

    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    modules: list[list[bool]] = code.modules
    count = len(modules)
    dark = (
        f"M{column + QUIET_ZONE} {row + QUIET_ZONE}h1v1h-1z"
        for row in range(count)
        for column in range(count)
        if modules[row][column]
    )
    return QrCode(count + 2 * QUIET_ZONE, "".join(dark))
