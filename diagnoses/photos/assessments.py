"""Assessments of photos: from the stored measurements of a prediction and all that was told, without the network.

Used by the worker for the first assessment and by the web process for each later one. Every function that writes needs
the photo locked (`select_for_update`), so that nothing that is told meanwhile is lost.
"""

import functools
import logging
from typing import Protocol

from django.utils import timezone

from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.models import Reminder
from diagnoses.photos.case_mix import stated_case_mix
from diagnoses.photos.models import Photo, PhotoAssessment, PhotoHistory, Prediction
from diagnoses.photos.notifications import advice_has_risen
from diagnoses.photos.rejudging import rises
from recognition.inference.assessment import Decision
from recognition.inference.assessor import Answer, Assessor
from recognition.inference.bundle import BundleError, Manifest
from recognition.inference.case_mix import CaseMix
from recognition.inference.metadata import Metadata
from recognition.inference.outputs import PictureOutputs

logger = logging.getLogger(__name__)


class Assesses(Protocol):
    """What `recognition.inference.assessor.Assessor` does."""

    def assess(
        self,
        outputs: PictureOutputs,
        *,
        image_type: str = "",
        metadata: Metadata | None = None,
        case_mix: CaseMix | None = None,
    ) -> Answer:
        """See `Assessor.assess`."""
        ...


def assessor_of(classifier: Classifier) -> Assessor:
    """The assessor of a classifier, from its registered manifest; a few are kept.

    Raises BundleError if this version cannot read the manifest.
    """
    return _assessor(classifier.sha256)


@functools.lru_cache(maxsize=4)
def _assessor(sha256: str) -> Assessor:
    manifest = Classifier.objects.values_list("manifest", flat=True).get(sha256=sha256)
    return Assessor.from_manifest(Manifest.from_json(manifest))


def known_of(photo: Photo) -> Metadata:
    """What is known of patient and spot: age, sex and site of the photo, and the newest reported history."""
    told = photo.history or PhotoHistory()
    return Metadata(
        age_approx=photo.age_approx,
        sex=photo.sex,
        anatom_site_general=photo.anatom_site_general,
        itch=told.itch,
        grew=told.change_size,
        hurt=told.pain,
        changed=_either(told.change_shape, told.change_colour),
        bleed=told.bleeding,
        elevation=told.raised,
    )


def _either(one: bool | None, other: bool | None) -> bool | None:
    """True if one of two answers is yes, False if both are no, None if that is not known."""
    if one or other:
        return True
    return None if one is None or other is None else False


def effective_decision(decision: str, history: PhotoHistory | None) -> str:
    """The decision after the reported history: MONITOR becomes SOON if the history needs a doctor. All other decisions
    stay those of the assessment.
    """
    if decision == Decision.MONITOR and history is not None and history.needs_a_doctor:
        return Decision.SOON.value
    return decision


def assess_photo(*, photo: Photo, prediction: Prediction, assessor: Assesses) -> PhotoAssessment:
    """The assessment of a locked photo by this prediction, which must have outputs, with all that is known now.

    Returns the current one if it says the same of the same facts. Does not make it the current one.
    """
    assert prediction.outputs is not None
    known = known_of(photo)
    answer = assessor.assess(
        PictureOutputs.from_json(prediction.outputs),
        image_type=photo.image_type,
        metadata=known,
        case_mix=stated_case_mix(),
    )
    assessment = answer.assessment
    made = PhotoAssessment(
        photo=photo,
        prediction=prediction,
        image_type=answer.image_type,
        image_type_source=answer.source,
        contradicted=answer.contradicted,
        case_mix=answer.case_mix.as_json(),
        probabilities=[float(each) for each in answer.probabilities],
        picture_alone=[float(each) for each in answer.picture_alone],
        diagnosis=answer.diagnosis.value,
        confidence=answer.confidence,
        malignant_score=answer.malignant_score,
        decision=assessment.decision.value,
        picture_decision=answer.picture_decision.value,
        score=assessment.score,
        assessment=assessment.as_json(),
        metadata=known.words(),
        used=list(answer.used),
    )
    current = photo.assessment
    if current is not None and current.prediction_id == prediction.pk and _facts(current) == _facts(made):
        return current
    made.save(force_insert=True)
    return made


def _facts(row: PhotoAssessment) -> tuple[object, ...]:
    """What an assessment goes by, beside the prediction."""
    return row.image_type, row.image_type_source, row.case_mix, row.metadata


def make_current(photo: Photo, assessment: PhotoAssessment, **changes: object) -> None:
    """Save `assessment` as the current one of a locked photo, with its copies and further `changes` of columns."""
    changes |= {
        "assessment": assessment,
        "diagnosis": assessment.diagnosis,
        "confidence": assessment.confidence,
        "malignant_score": assessment.malignant_score,
        "decision": effective_decision(assessment.decision, photo.history),
    }
    for name, value in changes.items():
        setattr(photo, name, value)
    photo.save(update_fields=list(changes))


def assess_again(photo: Photo) -> None:
    """Assess a locked photo once more after something was told or changed, from the measurements that are stored.

    Does nothing before the first analysis. Without stored measurements, in predictions from before these were kept,
    only the reported history counts (`effective_decision`). If the advice becomes graver, the reminder of the spot ends
    and the owner is notified.
    """
    assessment = photo.assessment
    if assessment is None:
        return
    before, prediction = photo.decision, assessment.prediction
    if prediction.outputs is not None:
        try:
            assessor = assessor_of(prediction.classifier)
        except BundleError:
            logger.exception("Photo %s keeps its assessment: its classifier's manifest cannot be read.", photo.pk)
        else:
            assessment = assess_photo(photo=photo, prediction=prediction, assessor=assessor)
    make_current(photo, assessment)
    if rises(before, photo.decision):
        if photo.lesion_id is not None:
            Reminder.objects.standing().filter(lesion_id=photo.lesion_id).update(ended=timezone.now())
        advice_has_risen(photo=photo, assessment=assessment)
