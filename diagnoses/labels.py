"""Labels: the names of statuses, failures, gates and diagnoses on pages and in the API.

The library `recognition` does not use gettext. Its texts are repeated here inside `_()`; a test checks that both are
equal.
"""

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from recognition.inference.assessment import Decision, Gate
from recognition.taxonomy import CLOSE_UP, DERMOSCOPIC, Diagnosis


@dataclass(frozen=True)
class Failure:
    """Why a photo could not be analysed. `retry` says whether another attempt may help."""

    detail: str | Promise
    retry: bool


FAILURES: Final[dict[str, Failure]] = {
    "photo_missing": Failure(_("The stored photo could not be found. Please upload it again."), retry=False),
    "photo_unreadable": Failure(_("The stored photo could not be read. Please upload it again."), retry=False),
    "prediction_failed": Failure(
        _("The analysis failed three times. Your photo is safe; you can try again."), retry=True
    ),
    "prediction_timeout": Failure(
        _("The analysis took too long three times. Your photo is safe; you can try again."), retry=True
    ),
    "worker_lost": Failure(
        _("The analysis was interrupted three times. Your photo is safe; you can try again."), retry=True
    ),
}
UNKNOWN_FAILURE: Final = Failure(_("The analysis failed. Your photo is safe; you can try again."), retry=True)

DIAGNOSIS_NAMES: Final[dict[str, str | Promise]] = {
    "MEL": _("Melanoma"),
    "NV": _("Melanocytic nevus"),
    "BCC": _("Basal cell carcinoma"),
    "AK": _("Actinic keratosis"),
    "BKL": _("Benign keratosis"),
    "DF": _("Dermatofibroma"),
    "VASC": _("Vascular lesion"),
    "SCC": _("Squamous cell carcinoma"),
}

# Short names of the decisions, for lists. No name says that everything is fine.
DECISION_NAMES: Final[dict[Decision, str | Promise]] = {
    Decision.URGENT: _("See a doctor within days"),
    Decision.SOON: _("See a doctor soon"),
    Decision.MONITOR: _("Photograph again"),
    Decision.NOT_ASSESSED: _("Could not be assessed"),
}

# The meaning of each decision in one sentence.
DECISION_MEANINGS: Final[dict[Decision, str | Promise]] = {
    Decision.URGENT: _("The cancers together reach the upper level: within days, and in any case within two weeks."),
    Decision.SOON: _(
        "They reach the lower level, or the picture most resembles something that can become a cancer: within weeks."
    ),
    Decision.MONITOR: _("They stay below both levels: take another photo by the day that is named, and compare."),
    Decision.NOT_ASSESSED: _(
        "The photo is not good enough, or unlike the pictures the classifier learned from, so it gives no answer."
    ),
}

SAFETY_NET: Final = _("If the spot changes, bleeds or worries you, see a doctor, whatever this page says.")


@dataclass(frozen=True)
class Reason:
    """Why a gate refused a picture, and what the photographer can do."""

    why: str | Promise
    remedy: str | Promise


# By the codes of `recognition.inference.assessment.CODES_OF`.
GATE_REASONS: Final[dict[str, Reason]] = {
    "too_small": Reason(
        _("The picture is too small to show the details that matter."),
        _("Go closer, and send the photo itself rather than a preview or a screenshot of it."),
    ),
    "too_dark": Reason(
        _("The picture is too dark."),
        _("Take it by daylight or in a bright room, without your own shadow on the spot."),
    ),
    "too_bright": Reason(
        _("The picture is too bright, so that details are lost."),
        _("Take it without flash and out of direct sun."),
    ),
    "low_contrast": Reason(
        _("The spot hardly stands out from what is around it."),
        _("Wipe the lens, use even daylight, and switch off filters."),
    ),
    "blurred": Reason(
        _("The picture is blurred."),
        _("Hold the phone about a hand's width away, tap the spot on the screen to focus, and keep still."),
    ),
    "cropped": Reason(
        _("The spot runs over the edge of the picture."),
        _("Move back a little, so that the whole spot and some skin around it are in the picture."),
    ),
    "unfamiliar": Reason(
        _("The picture is unlike the skin pictures that the classifier learned from."),
        _(
            "Photograph only the spot, sharp and from close by, with a little skin around it. If you did just that, it "
            "may be something that Teri does not know: show it to a doctor."
        ),
    ),
    "other_image_type": Reason(
        _("The classifier that answers here has not learned from photos taken in this way."),
        _("If you said wrongly how the photo was taken, change it. If not, show the spot to a doctor."),
    ),
    "uncertain": Reason(
        _("The picture does not tell several diagnoses apart."),
        _("A doctor can look closer than one picture allows."),
    ),
}

GATE_NAMES: Final[dict[Gate, str | Promise]] = {
    Gate.QUALITY: _("Photo quality"),
    Gate.OOD: _("Likeness to known pictures"),
    Gate.PREDICTION_SET: _("Certainty"),
}

GROUND_TRUTH_SOURCES: Final[dict[str, str | Promise]] = {
    "histopathology": _("Histopathology"),
    "clinician": _("Clinician's assessment"),
    "dataset": _("Data set"),
}

SITE_NAMES: Final[dict[str, str | Promise]] = {
    "anterior torso": _("anterior torso"),
    "posterior torso": _("posterior torso"),
    "lateral torso": _("lateral torso"),
    "head/neck": _("head/neck"),
    "upper extremity": _("upper extremity"),
    "lower extremity": _("lower extremity"),
    "palms/soles": _("palms/soles"),
    "oral/genital": _("oral/genital"),
}
"""The labels of the ISIC anatomical sites."""

IMAGE_TYPE_NAMES: Final[dict[str, str | Promise]] = {
    DERMOSCOPIC: _("through a dermatoscope"),
    CLOSE_UP: _("with a phone or a camera"),
}
"""The labels of the kinds of picture: how it was taken."""

IMAGE_TYPE_SOURCES: Final[dict[str, str | Promise]] = {
    "told": _("as told with the photo"),
    "recognised": _("recognised from the picture"),
    "assumed": _("assumed, because nobody told it"),
}
"""How the kind of a picture is known."""


def failure(code: str) -> Failure:
    """The text for a failure code."""
    return FAILURES.get(code, UNKNOWN_FAILURE)


def plain_words(code: str) -> str | Promise:
    """One translated sentence about a diagnosis, for patients."""
    return _(Diagnosis[code].plain_words)
