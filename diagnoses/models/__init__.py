"""What the database knows: photographs, what classifiers said of them, what clinicians found."""

from diagnoses.models.alarm import ClassifierAlarm
from diagnoses.models.backup import BackupRecord
from diagnoses.models.classifier import Classifier
from diagnoses.models.erased_file import ErasedFile
from diagnoses.models.fields import ContentHashField, DecisionField, DiagnosisField
from diagnoses.models.finding import Finding
from diagnoses.models.history import PhotoHistory
from diagnoses.models.known_image import KnownImage
from diagnoses.models.lesion import BodyView, Lesion
from diagnoses.models.photo import GroundTruth, Photo
from diagnoses.models.prediction import Prediction
from diagnoses.models.reading import Reading
from diagnoses.models.reminder import Reminder
from diagnoses.models.share_link import ShareLink
from diagnoses.models.similar import FeatureIndex, FeatureVector, ReferencePicture
from diagnoses.models.worker import Worker

__all__ = [
    "BackupRecord",
    "BodyView",
    "Classifier",
    "ClassifierAlarm",
    "ContentHashField",
    "DecisionField",
    "DiagnosisField",
    "ErasedFile",
    "FeatureIndex",
    "FeatureVector",
    "Finding",
    "GroundTruth",
    "KnownImage",
    "Lesion",
    "Photo",
    "PhotoHistory",
    "Prediction",
    "Reading",
    "ReferencePicture",
    "Reminder",
    "ShareLink",
    "Worker",
]
