"""What people fill in. Forms check; services write."""

from diagnoses.forms.findings import FindingForm
from diagnoses.forms.review import REVIEW_ORDERS, ReviewFilterForm, ReviewOrder
from diagnoses.forms.upload import ACCEPTED_FILES, PhotoForm, too_large, words_for

__all__ = [
    "ACCEPTED_FILES",
    "REVIEW_ORDERS",
    "FindingForm",
    "PhotoForm",
    "ReviewFilterForm",
    "ReviewOrder",
    "too_large",
    "words_for",
]
