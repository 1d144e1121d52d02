"""The PDF report that a patient takes to a doctor: what is known of one photo, on paper, in the reader's language.

`content` says what stands in it, as plain blocks; `document` sets them on A4 pages; `pictures` and `fonts` prepare what
is embedded. The PDF library is imported only when a report is made: the web process does not start with it.
"""

from diagnoses.results.report.content import Block, report_blocks
from diagnoses.results.report.document import make_report

__all__ = ["Block", "make_report", "report_blocks"]
