"""The PDF report on one photo, in the reader's language, that a patient takes to a doctor.

`content` makes the content as `blocks`. `document` lays them out on A4 pages. `pictures` and `fonts` prepare what is
embedded. The PDF library is imported only when a report is made, so that the web process starts without it.
"""

from diagnoses.results.report.blocks import Block
from diagnoses.results.report.content import report_blocks
from diagnoses.results.report.document import make_report

__all__ = ["Block", "make_report", "report_blocks"]
