"""Every write of this app. A service checks permission and validity, saves in one transaction, records who, and
hands on what follows after the commit. Pages, API, admin, commands and workers call these and nothing else.
"""

from diagnoses.services.classifiers import (
    ClassifierError,
    bundle_directory,
    fault_found,
    promote_classifier,
    register_bundle,
    registered_bundle,
)
from diagnoses.services.findings import record_finding
from diagnoses.services.histories import HistoryAnswers, effective_decision, record_history
from diagnoses.services.known_images import recognise_photos, register_known_images
from diagnoses.services.lesions import (
    BodyPlace,
    change_lesion,
    create_lesion,
    delete_lesion,
    move_photos,
    view_lesion,
)
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
from diagnoses.services.reminders import (
    Refusal,
    ReminderRefused,
    end_reminder,
    reminder_refusal,
    send_due_reminders,
    set_reminder,
)
from diagnoses.services.reviews import request_review
from diagnoses.services.sharing import make_share_link, open_shared, revoke_share_link

__all__ = [
    "BodyPlace",
    "Claim",
    "ClassifierError",
    "HistoryAnswers",
    "IdempotencyConflict",
    "PhotoMetadata",
    "ReadingRefused",
    "Refusal",
    "ReminderRefused",
    "SweepReport",
    "begin_reading",
    "bundle_directory",
    "change_lesion",
    "claim_photo",
    "create_lesion",
    "delete_lesion",
    "delete_photo",
    "effective_decision",
    "end_reminder",
    "fail_photo",
    "fault_found",
    "make_share_link",
    "move_photos",
    "open_shared",
    "promote_classifier",
    "recognise_photos",
    "record_blind",
    "record_final",
    "record_finding",
    "record_history",
    "record_prediction",
    "register_bundle",
    "register_known_images",
    "registered_bundle",
    "release_photo",
    "reminder_refusal",
    "repredict_photo",
    "request_review",
    "request_second_reading",
    "retry_photo",
    "revoke_share_link",
    "send_due_reminders",
    "set_reminder",
    "settle_alone",
    "submit_photo",
    "sweep",
    "view_lesion",
    "view_photo",
    "view_picture",
]
