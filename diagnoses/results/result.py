"""Own what is told about an analysed photo, and to whom: the same for its page, the report and a shared link.

An answer to a picture that was refused is kept for clinicians: everybody else gets a `Result` without one, so that no
page, report or program can show it by mistake.
"""

from dataclasses import dataclass

from diagnoses.photos.models import GroundTruth, Photo, Prediction
from diagnoses.photos.probabilities import Bar, bars
from diagnoses.results.advice import Advice, advice_on
from diagnoses.results.clinical_outcome import Verdict, advice_of, verdict_on
from diagnoses.results.sealed_figures import Figures, figures_behind
from recognition.inference.assessment import SCORE_MAX, SCORE_MIN, Assessment, Decision, Gate
from recognition.taxonomy import Diagnosis


@dataclass(frozen=True)
class ScoreStep:
    """One of the ten steps of the score as the page draws them; `x` in hundredths of the width."""

    x: int
    reached: bool


@dataclass(frozen=True)
class Answer:
    """What the classifier said, for somebody who may read it."""

    prediction: Prediction
    assessed: Assessment | None
    diagnosis: Diagnosis
    uncertain: bool
    bars: tuple[Bar, ...]
    score_steps: tuple[ScoreStep, ...]
    figures: Figures


@dataclass(frozen=True)
class Result:
    """What is known of a photo.

    `advice` is what to do next: the clinicians' where they have said it (`by_clinician`), else the picture's; None
    where neither is there. `answer` is None before the analysis and where it is withheld. `truth` is what the spot is
    known to be, and `agrees` whether the classifier's answer is the same.
    """

    photo: Photo
    advice: Advice | None
    by_clinician: bool
    verdict: Verdict
    answer: Answer | None
    truth: GroundTruth | None

    @property
    def agrees(self) -> bool:
        """Whether the classifier's answer is what the spot is known to be."""
        return self.truth is not None and self.answer is not None and self.truth.diagnosis == self.answer.diagnosis


def result_of(photo: Photo, *, for_clinician: bool = False) -> Result:
    """What may be told of `photo`; `for_clinician` includes the answer to a picture that was refused."""
    verdict = verdict_on(photo)
    analysed = _analysed(photo)
    advice, by_clinician = _advice(photo, analysed, verdict)
    told = analysed is not None and (for_clinician or not analysed.is_refused)
    return Result(
        photo=photo,
        advice=advice,
        by_clinician=by_clinician,
        verdict=verdict,
        answer=_answer(analysed) if analysed is not None and told else None,
        truth=photo.ground_truth,
    )


def current_advice(photo: Photo) -> Advice | None:
    """What to do next about a photo, for lists: as `Result.advice`."""
    return _advice(photo, _analysed(photo), verdict_on(photo))[0]


def _analysed(photo: Photo) -> Prediction | None:
    """The answer that stands; none while the photo waits for another one or after that failed."""
    return photo.prediction if photo.status == Photo.Status.PREDICTED else None


def _advice(photo: Photo, analysed: Prediction | None, verdict: Verdict) -> tuple[Advice | None, bool]:
    """What to do next, and whether clinicians say so."""
    of_picture = advice_on(photo, analysed) if analysed is not None else None
    of_clinicians = advice_of(verdict)
    if of_clinicians is None:
        return of_picture, False
    if of_picture is not None and of_picture.kind == Decision.URGENT and of_clinicians.is_strong:
        # "Within days" is not taken back by "soon".
        return of_picture, False
    return of_clinicians, True


def _answer(prediction: Prediction) -> Answer:
    assessed = prediction.assessed
    return Answer(
        prediction=prediction,
        assessed=assessed,
        diagnosis=Diagnosis(prediction.diagnosis),
        uncertain=assessed is not None and not assessed.gate(Gate.PREDICTION_SET).passed,
        bars=bars(prediction),
        score_steps=score_steps(prediction.score),
        figures=figures_behind(prediction),
    )


def score_steps(score: int | None) -> tuple[ScoreStep, ...]:
    """The ten steps, those up to the score reached; none without a score."""
    if score is None:
        return ()
    return tuple(ScoreStep((step - SCORE_MIN) * 10, step <= score) for step in range(SCORE_MIN, SCORE_MAX + 1))
