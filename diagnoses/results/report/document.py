"""Lays out the blocks of a report on A4 pages and makes a PDF.

The colours are those of the pages (static/css/tokens.css, light). The fonts are embedded, so the document looks the
same everywhere and its text can be searched and copied.
"""

import io
from collections.abc import Callable, Iterator
from html import escape
from typing import Any, Final

from django.utils.translation import get_language
from django.utils.translation import gettext as _
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    Image,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from diagnoses.photos.models import Photo
from diagnoses.results.report.blocks import (
    Block,
    Facts,
    FigureTable,
    Opening,
    Panel,
    ProbabilityBars,
    Style,
    Text,
)
from diagnoses.results.report.content import report_blocks, report_title
from diagnoses.results.report.fonts import BOLD, REGULAR, register_fonts
from diagnoses.results.report.pictures import ReportPicture, heatmap_picture, photo_picture

INK: Final = colors.HexColor("#1e2423")
INK_SOFT: Final = colors.HexColor("#565e5b")
LINE: Final = colors.HexColor("#ded8cd")
SUNKEN: Final = colors.HexColor("#f1ede6")
ACCENT: Final = colors.HexColor("#0f5a56")
ACCENT_SOFT: Final = colors.HexColor("#e2efec")
WARM: Final = colors.HexColor("#b4502f")
WARM_SOFT: Final = colors.HexColor("#fbebe3")

MARGIN: Final = 18 * mm
FOOT: Final = 22 * mm
WIDTH: Final = A4[0] - 2 * MARGIN
PICTURE_WIDTH: Final = 78 * mm
PICTURE_HEIGHT: Final = 82 * mm
SMALL_PICTURE_HEIGHT: Final = 34 * mm
LABEL_WIDTH: Final = 62 * mm
# A heading moves to the next page if less than this height remains below it.
KEEP_WITH_HEADING: Final = 32 * mm


def make_report(photo: Photo, *, with_name: bool = True, for_clinician: bool = False) -> bytes:
    """The report on `photo` as a PDF, in the active language. See `report_blocks` for the arguments."""
    register_fonts()
    file = io.BytesIO()
    document = BaseDocTemplate(
        file,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=FOOT,
        title=report_title(),
        author="Teri",
        creator="Teri",
        subject=str(photo.pk),
        lang=get_language(),
        displayDocTitle=True,
    )
    frame = Frame(MARGIN, FOOT, WIDTH, A4[1] - MARGIN - FOOT, leftPadding=0, rightPadding=0, topPadding=0)
    document.addPageTemplates([PageTemplate(frames=[frame])])
    blocks = report_blocks(photo, with_name=with_name, for_clinician=for_clinician)
    styles = _styles()
    story = [flowable for block in blocks for flowable in _set(block, styles)]
    document.build(story, canvasmaker=_numbered(f"Teri · {photo.pk}"))
    return file.getvalue()


def _styles() -> dict[Style, ParagraphStyle]:
    plain = ParagraphStyle(
        "plain", fontName=REGULAR, fontSize=9.5, leading=13.5, textColor=INK, spaceAfter=4, splitLongWords=1
    )

    def style(name: Style, **changes: Any) -> ParagraphStyle:
        return ParagraphStyle(name.value, parent=plain, **changes)

    return {
        Style.PLAIN: plain,
        Style.TITLE: style(Style.TITLE, fontName=BOLD, fontSize=17, leading=21, textColor=ACCENT, spaceAfter=10),
        Style.HEADING: style(
            Style.HEADING, fontName=BOLD, fontSize=11.5, leading=15, spaceBefore=12, spaceAfter=5, textColor=ACCENT
        ),
        Style.LARGE: style(Style.LARGE, fontName=BOLD, fontSize=13.5, leading=17),
        Style.STRONG: style(Style.STRONG, fontName=BOLD),
        Style.QUIET: style(Style.QUIET, fontSize=8.5, leading=12, textColor=INK_SOFT),
    }


def _numbered(left: str) -> Callable[..., Canvas]:
    """A canvas that adds "page x of y" to every page at the end."""

    class NumberedCanvas(Canvas):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:
            self._pages.append(dict(self.__dict__))
            self._startPage()  # type: ignore[attr-defined]  # its stubs leave it out

        def save(self) -> None:
            for number, page in enumerate(self._pages, start=1):
                self.__dict__.update(page)
                self.setStrokeColor(LINE)
                self.line(MARGIN, FOOT - 4 * mm, A4[0] - MARGIN, FOOT - 4 * mm)
                self.setFont(REGULAR, 7.5)
                self.setFillColor(INK_SOFT)
                self.drawString(MARGIN, FOOT - 8.5 * mm, left)
                words = _("Page %(page)d of %(pages)d") % {"page": number, "pages": len(self._pages)}
                self.drawRightString(A4[0] - MARGIN, FOOT - 8.5 * mm, words)
                super().showPage()
            super().save()

    return NumberedCanvas


def _set(block: Block, styles: dict[Style, ParagraphStyle]) -> Iterator[Flowable]:
    match block:
        case Text():
            if block.style is Style.HEADING:
                yield CondPageBreak(KEEP_WITH_HEADING)
            yield _paragraph(block, styles)
        case Facts():
            yield _facts(block, WIDTH, styles)
        case Opening():
            yield _opening(block, styles)
            yield Spacer(1, 5 * mm)
        case Panel():
            yield _panel(block, styles)
        case ProbabilityBars():
            yield _bars(block, styles)
        case FigureTable():
            yield _figures(block, styles)


def _paragraph(text: Text, styles: dict[Style, ParagraphStyle]) -> Paragraph:
    return _words(text.text, styles[text.style])


def _words(text: str, style: ParagraphStyle) -> Paragraph:
    """The escaped text: the library would interpret mark-up in names and notes."""
    lines = (escape("".join(letter for letter in line if letter.isprintable())) for line in text.splitlines())
    return Paragraph("<br/>".join(lines), style)


def _facts(facts: Facts, width: float, styles: dict[Style, ParagraphStyle]) -> Table:
    label = min(LABEL_WIDTH, width * 0.38)
    rows = [[_words(what, styles[Style.QUIET]), _words(how, styles[Style.PLAIN])] for what, how in facts.rows]
    return Table(
        rows or [["", ""]],
        colWidths=[label, width - label],
        hAlign="LEFT",
        spaceAfter=4,
        splitInRow=1,
        style=TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (0, -1), 0),
                ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
            ]
        ),
    )


def _opening(block: Opening, styles: dict[Style, ParagraphStyle]) -> Table:
    photo = photo_picture(block.photo)
    heatmap = heatmap_picture(block.photo, block.heatmap)
    left: list[Flowable] = []
    if photo is None:
        left.append(_words(_("The picture could not be read."), styles[Style.QUIET]))
    else:
        left.append(_image(photo, PICTURE_HEIGHT))
    gap = 8 * mm
    right: list[Flowable] = [_facts(block.facts, WIDTH - PICTURE_WIDTH - gap, styles)]
    if heatmap is not None:
        right += [
            Spacer(1, 3 * mm),
            _image(heatmap, SMALL_PICTURE_HEIGHT),
            _words(_("Coloured: where in the picture the answer comes from."), styles[Style.QUIET]),
        ]
    return Table(
        [[left, "", right]],
        colWidths=[PICTURE_WIDTH, gap, WIDTH - PICTURE_WIDTH - gap],
        hAlign="LEFT",
        style=TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 0),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
            ]
        ),
    )


def _image(picture: ReportPicture, max_height: float) -> Image:
    """The picture, as large as the column and `max_height` allow, with its aspect ratio."""
    scale = min(PICTURE_WIDTH / picture.width, max_height / picture.height)
    image = Image(io.BytesIO(picture.jpeg), width=picture.width * scale, height=picture.height * scale)
    image.hAlign = "LEFT"
    return image


def _panel(panel: Panel, styles: dict[Style, ParagraphStyle]) -> Table:
    return Table(
        [[[_paragraph(text, styles) for text in panel.texts]]],
        colWidths=[WIDTH],
        splitInRow=1,
        spaceAfter=6,
        style=TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, -1), WARM_SOFT if panel.is_strong else ACCENT_SOFT),
                ("LINEBEFORE", (0, 0), (0, -1), 3, WARM if panel.is_strong else ACCENT),
                ("LEFTPADDING", (0, 0), (-1, -1), 5 * mm),
                ("RIGHTPADDING", (0, 0), (-1, -1), 5 * mm),
                ("TOPPADDING", (0, 0), (-1, -1), 3.5 * mm),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5 * mm),
            ]
        ),
    )


class _Bar(Flowable):
    """A bar whose length is a share of the track's width."""

    def __init__(self, width: float, share: float, colour: colors.Color) -> None:
        super().__init__()
        self.width, self.height = width, 2.6 * mm
        self.share, self.colour = min(max(share, 0.0), 1.0), colour

    def draw(self) -> None:
        self.canv.setFillColor(SUNKEN)
        self.canv.roundRect(0, 0, self.width, self.height, self.height / 2, stroke=0, fill=1)
        self.canv.setFillColor(self.colour)
        # A bar is never narrower than its round ends.
        width = max(self.width * self.share, self.height)
        self.canv.roundRect(0, 0, width, self.height, self.height / 2, stroke=0, fill=1)


def _bars(block: ProbabilityBars, styles: dict[Style, ParagraphStyle]) -> Table:
    number = ParagraphStyle("number", parent=styles[Style.PLAIN], alignment=TA_RIGHT)
    widths = [72 * mm, WIDTH - 96 * mm, 24 * mm]
    rows = []
    for bar in block.bars:
        name = styles[Style.STRONG if bar.is_top else Style.PLAIN]
        colour = WARM if bar.is_cancer else ACCENT
        rows.append([_words(bar.name, name), _Bar(widths[1], bar.share, colour), _words(bar.number, number)])
    return Table(
        rows,
        colWidths=widths,
        hAlign="LEFT",
        spaceBefore=3,
        spaceAfter=5,
        style=TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
            ]
        ),
    )


def _figures(block: FigureTable, styles: dict[Style, ParagraphStyle]) -> Table:
    columns = len(block.head) - 1
    first = WIDTH * 0.5
    return Table(
        [
            [_words(word, styles[Style.STRONG]) for word in block.head],
            *([_words(word, styles[Style.PLAIN]) for word in row] for row in block.rows),
        ],
        colWidths=[first, *([(WIDTH - first) / max(columns, 1)] * columns)],
        hAlign="LEFT",
        repeatRows=1,
        spaceBefore=4,
        spaceAfter=4,
        style=TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
                ("LEFTPADDING", (0, 0), (0, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
            ]
        ),
    )
