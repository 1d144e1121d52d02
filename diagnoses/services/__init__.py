"""Every write of this app. A service checks permission and validity, saves in one transaction, records who, and
hands on what follows after the commit. Pages, API, admin, commands and workers call these and nothing else.
"""

from diagnoses.services.classifiers import (
    ClassifierError,
    bundle_directory,
    fault_found,
    promote_classifier,
    register_bundle,
)
from diagnoses.services.findings import record_finding
from diagnoses.services.known_images import recognise_photos, register_known_images
from diagnoses.services.lesions import create_lesion
from diagnoses.services.photos import (
    IdempotencyConflict,
    PhotoMetadata,
    delete_photo,
    repredict_photo,
    retry_photo,
    submit_photo,
    view_photo,
    view_picture,
)
from diagnoses.services.predictions import Claim, claim_photo, fail_photo, record_prediction, release_photo
from diagnoses.services.readings import (
    ReadingRefused,
    begin_reading,
    record_blind,
    record_final,
    request_second_reading,
    settle_alone,
)
from diagnoses.services.recovery import SweepReport, sweep

__all__ = [
    "Claim",
    "ClassifierError",
    "IdempotencyConflict",
    "PhotoMetadata",
    "ReadingRefused",
    "SweepReport",
    "begin_reading",
    "bundle_directory",
    "claim_photo",
    "create_lesion",
    "delete_photo",
    "fail_photo",
    "fault_found",
    "promote_classifier",
    "recognise_photos",
    "record_blind",
    "record_final",
    "record_finding",
    "record_prediction",
    "register_bundle",
    "register_known_images",
    "release_photo",
    "repredict_photo",
    "request_second_reading",
    "retry_photo",
    "settle_alone",
    "submit_photo",
    "sweep",
    "view_photo",
    "view_picture",
]
