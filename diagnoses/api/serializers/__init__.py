"""Own the JSON of the API: what is read from requests and what is written into answers.

Every field is listed by hand. What a request carries besides these changes nothing (RELIABILITY R24).
"""

from diagnoses.api.serializers.findings import FindingSerializer
from diagnoses.api.serializers.lesions import (
    LesionSerializer,
    NewLesionSerializer,
    NewReminderSerializer,
    ReminderSerializer,
)
from diagnoses.api.serializers.people import (
    CredentialsSerializer,
    NotificationSerializer,
    ReadCountSerializer,
    ReadNotificationsSerializer,
    TokenSerializer,
)
from diagnoses.api.serializers.photos import HistorySerializer, PhotoSerializer, ReceiptSerializer, UploadSerializer
from diagnoses.api.serializers.problems import ProblemSerializer
from diagnoses.api.serializers.reviews import (
    BlindAnswerSerializer,
    FinalAnswerSerializer,
    ReadingSerializer,
    ReviewSerializer,
)
from diagnoses.api.serializers.sharing import MadeShareLinkSerializer, NewShareLinkSerializer, ShareLinkSerializer

__all__ = [
    "BlindAnswerSerializer",
    "CredentialsSerializer",
    "FinalAnswerSerializer",
    "FindingSerializer",
    "HistorySerializer",
    "LesionSerializer",
    "MadeShareLinkSerializer",
    "NewLesionSerializer",
    "NewReminderSerializer",
    "NewShareLinkSerializer",
    "NotificationSerializer",
    "PhotoSerializer",
    "ProblemSerializer",
    "ReadCountSerializer",
    "ReadNotificationsSerializer",
    "ReadingSerializer",
    "ReceiptSerializer",
    "ReminderSerializer",
    "ReviewSerializer",
    "ShareLinkSerializer",
    "TokenSerializer",
    "UploadSerializer",
]
