"""What people fill in. Forms check; services write."""

from diagnoses.forms.findings import FindingForm
from diagnoses.forms.history import HistoryForm
from diagnoses.forms.lesions import LesionForm, MovePhotosForm, ReminderForm
from diagnoses.forms.review import REVIEW_ORDERS, ReviewFilterForm, ReviewOrder
from diagnoses.forms.upload import ACCEPTED_FILES, PhotoForm, too_large, words_for

__all__ = [
    "ACCEPTED_FILES",
    "REVIEW_ORDERS",
    "FindingForm",
    "HistoryForm",
    "LesionForm",
    "MovePhotosForm",
    "PhotoForm",
    "ReminderForm",
    "ReviewFilterForm",
    "ReviewOrder",
    "too_large",
    "words_for",
]
