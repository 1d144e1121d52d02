"""All tables of this app, imported for Django. Each feature folder defines its own."""

from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.models import BodyView, Lesion, Reminder
from diagnoses.monitoring.models import BackupRecord, ClassifierAlarm
from diagnoses.photos.models import (
    ErasedFile,
    GroundTruth,
    KnownImage,
    Photo,
    PhotoAssessment,
    PhotoHistory,
    Prediction,
    Worker,
)
from diagnoses.readings.models import Finding, Reading
from diagnoses.sharing.models import ShareLink
from diagnoses.similar.models import FeatureIndex, FeatureVector, ReferencePicture

__all__ = [
    "BackupRecord",
    "BodyView",
    "Classifier",
    "ClassifierAlarm",
    "ErasedFile",
    "FeatureIndex",
    "FeatureVector",
    "Finding",
    "GroundTruth",
    "KnownImage",
    "Lesion",
    "Photo",
    "PhotoAssessment",
    "PhotoHistory",
    "Prediction",
    "Reading",
    "ReferencePicture",
    "Reminder",
    "ShareLink",
    "Worker",
]
