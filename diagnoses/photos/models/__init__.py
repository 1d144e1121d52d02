"""The tables of photos: predictions, assessments, reported histories, known images, workers, files to erase."""

from diagnoses.photos.models.erased_file import ErasedFile
from diagnoses.photos.models.history import CHECKLIST_MAJOR, CHECKLIST_MINOR, CHECKLIST_REFERS, PhotoHistory
from diagnoses.photos.models.known_image import KnownImage
from diagnoses.photos.models.photo import GroundTruth, Photo, PhotoQuerySet
from diagnoses.photos.models.photo_assessment import PhotoAssessment
from diagnoses.photos.models.prediction import Prediction
from diagnoses.photos.models.worker import Worker

__all__ = [
    "CHECKLIST_MAJOR",
    "CHECKLIST_MINOR",
    "CHECKLIST_REFERS",
    "ErasedFile",
    "GroundTruth",
    "KnownImage",
    "Photo",
    "PhotoAssessment",
    "PhotoHistory",
    "PhotoQuerySet",
    "Prediction",
    "Worker",
]
