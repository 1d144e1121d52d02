"""The result of a photo as a reader may see it, used by its page, the report, the API and shared links.

Only clinicians see the answer to a refused picture. All others get a `Result` without it, so that no page or report can
show it by mistake.
"""

from dataclasses import dataclass

from diagnoses.photos.models import GroundTruth, Photo, PhotoAssessment
from diagnoses.photos.probabilities import ProbabilityBar, bars
from diagnoses.results.advice import Advice, advice_on
from diagnoses.results.basis import (
    ImageTypeBasis,
    ToldBasis,
    case_mix_words,
    image_type_basis,
    most_likely,
    told_basis,
)
from diagnoses.results.clinical_outcome import ClinicalOutcome, advice_of, clinical_outcome_of
from diagnoses.results.sealed_figures import SealedFigures, sealed_figures_of
from recognition.inference.assessment import SCORE_MAX, SCORE_MIN, Assessment, Decision, Gate
from recognition.inference.assessor import malignant_score
from recognition.taxonomy import Diagnosis


@dataclass(frozen=True)
class ScoreStep:
    """One of the ten steps of the score, for drawing. `x` is in hundredths of the width."""

    x: int
    reached: bool


@dataclass(frozen=True)
class ClassifierAnswer:
    """The classifier's answer, for readers who may see it.

    `cancers` is the sum of the shown probabilities of the cancers. `told` is None if only the picture counted.
    `case_mix` says for whom the probabilities hold.
    """

    assessment: PhotoAssessment
    assessed: Assessment | None
    diagnosis: Diagnosis
    uncertain: bool
    bars: tuple[ProbabilityBar, ...]
    cancers: float
    score_steps: tuple[ScoreStep, ...]
    figures: SealedFigures
    told: ToldBasis | None
    case_mix: str

    @property
    def heatmap_diagnosis(self) -> Diagnosis:
        """The diagnosis for which the heatmap was drawn: the most likely one by the picture alone, when it was seen."""
        first = self.assessment.prediction.assessments.order_by("created", "pk").first() or self.assessment
        return Diagnosis(first.diagnosis) if first.picture_alone is None else most_likely(first.picture_alone)


@dataclass(frozen=True)
class Result:
    """The result of a photo for one kind of reader.

    `advice` is the clinicians' (`by_clinician`) if they gave one, else that of the assessment, else None. `answer` is
    None before the analysis and if the reader may not see it. `image_type` is the kind as which the photo was assessed,
    None before that. `truth` is the known diagnosis.
    """

    photo: Photo
    advice: Advice | None
    by_clinician: bool
    clinical_outcome: ClinicalOutcome
    answer: ClassifierAnswer | None
    image_type: ImageTypeBasis | None
    truth: GroundTruth | None

    @property
    def agrees(self) -> bool:
        """Whether the classifier's answer equals the known diagnosis."""
        return self.truth is not None and self.answer is not None and self.truth.diagnosis == self.answer.diagnosis


def result_of(photo: Photo, *, for_clinician: bool = False) -> Result:
    """The result of `photo`. `for_clinician` includes the answer to a refused picture."""
    outcome = clinical_outcome_of(photo)
    analysed = _analysed(photo)
    advice, by_clinician = _advice(photo, analysed, outcome)
    visible = analysed is not None and (for_clinician or not analysed.is_refused)
    return Result(
        photo=photo,
        advice=advice,
        by_clinician=by_clinician,
        clinical_outcome=outcome,
        answer=answer_of(analysed) if analysed is not None and visible else None,
        image_type=image_type_basis(analysed) if analysed is not None else None,
        truth=photo.ground_truth,
    )


def current_advice(photo: Photo) -> Advice | None:
    """The advice for a photo, for lists: the same as `Result.advice`."""
    return _advice(photo, _analysed(photo), clinical_outcome_of(photo))[0]


def _analysed(photo: Photo) -> PhotoAssessment | None:
    """The current assessment. None while the photo is analysed again or after that failed."""
    return photo.assessment if photo.status == Photo.Status.PREDICTED else None


def _advice(photo: Photo, analysed: PhotoAssessment | None, outcome: ClinicalOutcome) -> tuple[Advice | None, bool]:
    """The advice, and whether it is the clinicians'."""
    of_picture = advice_on(photo, analysed) if analysed is not None else None
    of_clinicians = advice_of(outcome)
    if of_clinicians is None:
        return of_picture, False
    if of_picture is not None and of_picture.kind == Decision.URGENT and of_clinicians.is_strong:
        # The clinicians' "soon" does not replace the assessment's "within days".
        return of_picture, False
    return of_clinicians, True


def answer_of(assessment: PhotoAssessment) -> ClassifierAnswer:
    """What the classifier says in this assessment. Only clinicians may see that of a refused picture."""
    assessed = assessment.assessed
    return ClassifierAnswer(
        assessment=assessment,
        assessed=assessed,
        diagnosis=Diagnosis(assessment.diagnosis),
        uncertain=assessed is not None and not assessed.gate(Gate.PREDICTION_SET).passed,
        bars=bars(assessment),
        cancers=malignant_score(assessment.probabilities),
        score_steps=score_steps(assessment.score),
        figures=sealed_figures_of(assessment),
        told=told_basis(assessment),
        case_mix=case_mix_words(assessment.case_mix),
    )


def score_steps(score: int | None) -> tuple[ScoreStep, ...]:
    """The ten steps; those up to the score are reached. Empty without a score."""
    if score is None:
        return ()
    return tuple(ScoreStep((step - SCORE_MIN) * 10, step <= score) for step in range(SCORE_MIN, SCORE_MAX + 1))
