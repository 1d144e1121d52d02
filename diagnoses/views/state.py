"""What a photo's page says about where its analysis stands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from diagnoses.inference.assessment import SCORE_MAX, SCORE_MIN
from diagnoses.models import Classifier, Photo, Prediction, Worker
from diagnoses.taxonomy import CODES, Diagnosis
from diagnoses.texts import DIAGNOSIS_NAMES

# Seconds waited -> milliseconds to the next look: eager while an answer is due within a second or two, patient later.
POLL_STEPS: Final = ((10, 700), (60, 2_000), (600, 5_000))
POLL_LATE: Final = 15_000


@dataclass(frozen=True)
class Waiting:
    """Why there is no result yet. `code` names the stage; it changes when there is something new to read out."""

    code: str
    title: str | Promise
    detail: str | Promise
    seconds: int
    since: datetime | None = None
    stalled: bool = False

    @property
    def poll_ms(self) -> int:
        """Milliseconds until the page looks again."""
        return next((ms for limit, ms in POLL_STEPS if self.seconds < limit), POLL_LATE)

    @property
    def reload_seconds(self) -> int:
        """The same for a page without JavaScript, in whole seconds and never frantic."""
        return max(2, self.poll_ms // 1000)


def waiting(photo: Photo) -> Waiting:
    """Where a photo that is neither analysed nor failed stands, as far as the database knows."""
    seconds = max(0, photo.waiting_seconds)
    if photo.status == Photo.Status.PREDICTING and not photo.is_lease_expired:
        return Waiting("predicting", _("Being analysed"), _("The classifier is looking at your photo now."), seconds)
    classifier = Classifier.objects.live()
    if classifier is None or classifier.fault:
        return Waiting(
            "no-classifier",
            _("No classifier is live"),
            _(
                "Nothing can be analysed at the moment. Your photo is safe: it will be analysed as soon as a "
                "classifier is live again, and you need not upload it a second time."
            ),
            seconds,
            stalled=True,
        )
    if not Worker.objects.heard_from_lately().exists():
        return Waiting(
            "no-worker",
            _("Waiting for the analysis to come back"),
            _(
                "The analysis service is not answering. Your photo is safe: it will be analysed as soon as the "
                "service is back, and you need not upload it a second time."
            ),
            seconds,
            since=Worker.objects.last_heard(),
            stalled=True,
        )
    if photo.attempts:
        return Waiting(
            "again",
            _("Trying once more"),
            _("The analysis was interrupted and starts again by itself. Your photo is safe."),
            seconds,
        )
    return Waiting("queued", _("In the queue"), _("Your photo is safe and next in line to be analysed."), seconds)


@dataclass(frozen=True)
class Bar:
    """One of the eight probabilities as the page draws it."""

    code: str
    name: str | Promise
    probability: float
    cancer: bool
    top: bool


def bars(prediction: Prediction) -> list[Bar]:
    """All eight, the likeliest first; equal ones in ISIC order."""
    ranked = sorted(zip(CODES, prediction.probabilities, strict=True), key=lambda pair: -pair[1])
    return [
        Bar(code, DIAGNOSIS_NAMES[code], probability, Diagnosis(code).malignant, code == prediction.diagnosis)
        for code, probability in ranked
    ]


@dataclass(frozen=True)
class ScoreStep:
    """One of the ten steps of the score as the page draws them; `x` in hundredths of the width."""

    x: int
    reached: bool


def score_steps(score: int | None) -> list[ScoreStep]:
    """The ten steps, those up to the score reached; none without a score."""
    if score is None:
        return []
    return [ScoreStep((step - SCORE_MIN) * 10, step <= score) for step in range(SCORE_MIN, SCORE_MAX + 1)]
