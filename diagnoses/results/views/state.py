"""The state of a photo's analysis, as its page shows it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from diagnoses.classifiers.models import Classifier
from diagnoses.labels import SAFETY_NET, failure
from diagnoses.photos.models import Photo, Worker
from diagnoses.results.result import result_of

# Seconds waited -> milliseconds until the next request: short at first, longer later.
POLL_STEPS: Final = ((10, 700), (60, 2_000), (600, 5_000))
POLL_LATE: Final = 15_000


@dataclass(frozen=True)
class Waiting:
    """Why there is no result yet. `code` names the stage; screen readers read the text when it changes."""

    code: str
    title: str | Promise
    detail: str | Promise
    seconds: int
    since: datetime | None = None
    stalled: bool = False

    @property
    def poll_ms(self) -> int:
        """Milliseconds until the page requests the state again."""
        return next((ms for limit, ms in POLL_STEPS if self.seconds < limit), POLL_LATE)

    @property
    def reload_seconds(self) -> int:
        """Whole seconds until a page without JavaScript reloads."""
        return max(2, self.poll_ms // 1000)


def waiting(photo: Photo) -> Waiting:
    """The state of a photo that is neither analysed nor failed, from the database."""
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


def state_context(photo: Photo, *, for_clinician: bool) -> dict[str, Any]:
    """The template context of a photo's state: for its page, the fragment and shared links.

    Only clinicians see the answer to a refused picture. For all others there is no `answer` in the context, so that no
    template can show it by mistake.
    """
    result = result_of(photo, for_clinician=for_clinician)
    earlier = photo.assessment
    if earlier is not None and earlier.is_refused and not for_clinician:
        earlier = None
    context: dict[str, Any] = {
        "photo": photo,
        "ground_truth": result.truth,
        "clinical_outcome": result.clinical_outcome,
        "advice": result.advice,
        "by_clinician": result.by_clinician,
        "safety_net": SAFETY_NET,
        "agrees": result.agrees,
        "image_type": result.image_type,
    }
    if photo.is_waiting:
        context["waiting"] = waiting(photo)
        context["earlier"] = earlier  # a photo that is analysed again keeps its current answer until then
    elif photo.status == Photo.Status.FAILED:
        context["failure"] = failure(photo.failure_code)
        context["earlier"] = earlier  # after a failed second analysis the first answer is kept
    if result.answer is not None:
        context["answer"] = result.answer
    return context
