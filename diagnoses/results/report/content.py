"""The content of a report, as blocks in reading order, in the active language.

Text that people wrote (names, notes) is not escaped here; `document` escapes it.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from accounts.models import Profile
from diagnoses.labels import failure
from diagnoses.photos.models import CHECKLIST_MAJOR, CHECKLIST_MINOR, Photo, PhotoAssessment, PhotoHistory
from diagnoses.results.advice import Advice
from diagnoses.results.basis import ImageTypeBasis, ToldBasis
from diagnoses.results.clinical_outcome import ClinicalOutcome, ReviewStage, answer_words, management_words
from diagnoses.results.report.blocks import (
    Block,
    Facts,
    FigureTable,
    Opening,
    Panel,
    ProbabilityBars,
    ProbabilityRow,
    Style,
    Text,
)
from diagnoses.results.result import ClassifierAnswer, Result, result_of
from diagnoses.results.sealed_figures import Interval, ScoreFigures, SealedFigures
from diagnoses.templatetags.words import (
    diagnosis_name,
    diagnosis_names,
    hundredths,
    image_type_name,
    image_type_source,
    names,
    of_hundred,
    percent,
    plain_words,
    sex_name,
    site_name,
    truth_source,
)
from recognition.inference.assessment import Decision
from recognition.taxonomy import DERMOSCOPIC

QUESTIONS: Final = (*CHECKLIST_MAJOR, "raised", *CHECKLIST_MINOR, "pain")
"""Columns of `PhotoHistory`, in the order they are asked."""

PROFILE_QUESTIONS: Final = ("personal_hx_mm", "personal_hx_skin_cancer", "family_hx_mm", "immunosuppressed")
"""Columns of `Profile` that raise the risk of skin cancer."""


def report_title() -> str:
    """The title of the report."""
    return _("Report on a photo of the skin")


def report_blocks(photo: Photo, *, with_name: bool = True, for_clinician: bool = False) -> list[Block]:
    """The blocks of the report on `photo`. `with_name` adds the patient's name; the e-mail address is never added.

    `for_clinician` includes the answer to a refused picture, which only clinicians may see.
    """
    result = result_of(photo, for_clinician=for_clinician)
    profile = Profile.objects.filter(user=photo.owner_id).first()
    return [
        Text(report_title(), Style.TITLE),
        _opening(photo, result, profile, with_name=with_name),
        *_advice(result),
        *_contradiction(result.image_type),
        *_clinical_outcome(result),
        *_answer(result),
        *_history(photo.history),
        *_person(profile),
        *_origin(photo, result),
    ]


def _opening(photo: Photo, result: Result, profile: Profile | None, *, with_name: bool) -> Opening:
    sex = photo.sex or (profile.sex if profile is not None else "")
    born = profile.year_of_birth if profile is not None else None
    rows = [
        (_("Patient"), photo.owner.name if with_name else ""),
        (_("Year of birth"), str(born or "")),
        (_("Age"), "" if photo.age_approx is None else str(photo.age_approx)),
        (_("Sex"), str(sex_name(sex))),
        (_("Spot"), photo.lesion.name if photo.lesion is not None else ""),
        (_("Site"), str(site_name(_site(photo)))),
        (_("How it was taken"), _how_it_was_taken(photo, result.image_type)),
        (_("Photo of"), _moment(photo.created)),
        (_("Report of"), _moment(timezone.now())),
    ]
    heatmap = result.answer.assessment.prediction.heatmap.name if result.answer is not None else ""
    return Opening(photo.image.name or "", heatmap or "", Facts(tuple(row for row in rows if row[1])))


def _how_it_was_taken(photo: Photo, image_type: ImageTypeBasis | None) -> str:
    if image_type is None:
        return str(image_type_name(photo.image_type))
    return f"{image_type_name(image_type.image_type)} ({image_type_source(image_type.source)})"


def _contradiction(image_type: ImageTypeBasis | None) -> Iterator[Block]:
    if image_type is not None and image_type.looks_like:
        words = _(
            "The patient said that the photo was taken %(told)s. It looks as if it was taken %(seen)s. The numbers "
            "depend on which is right."
        )
        names_of_both = {"told": image_type_name(image_type.image_type), "seen": image_type_name(image_type.looks_like)}
        yield Text(words % names_of_both, Style.STRONG)


def _site(photo: Photo) -> str:
    return photo.anatom_site_general or (photo.lesion.anatom_site_general if photo.lesion is not None else "")


def _advice(result: Result) -> Iterator[Block]:
    if result.advice is not None:
        eyebrow = _("What clinicians advise") if result.by_clinician else _("What to do next")
        yield Panel((Text(eyebrow, Style.QUIET), *_advice_texts(result.advice)), result.advice.is_strong)
    elif result.photo.status == Photo.Status.FAILED:
        yield Text(_("The analysis failed"), Style.HEADING)
        yield Text(str(failure(result.photo.failure_code).detail))
    else:
        yield Text(_("This photo has not been analysed yet."))


def _advice_texts(advice: Advice) -> Iterator[Text]:
    yield Text(advice.title, Style.LARGE)
    yield Text(advice.detail)
    for reason in advice.reasons:
        yield Text(f"{reason.why} {reason.remedy}")
    yield Text(_("If the spot changes, bleeds or worries you, see a doctor, whatever this report says."), Style.QUIET)


def _clinical_outcome(result: Result) -> Iterator[Block]:
    outcome, truth = result.clinical_outcome, result.truth
    if outcome.stage is ReviewStage.NOT_ASKED and truth is None:
        return
    yield Text(_("What clinicians say"), Style.HEADING)
    if not outcome.is_read:
        yield from _not_yet(outcome)
    if truth is not None:
        yield Text(f"{diagnosis_name(truth.diagnosis)} ({truth.diagnosis})", Style.LARGE)
        source = str(truth_source(truth.source))
        recorded = outcome.finding.created if outcome.finding is not None else None
        rows = [
            (_("How it is known"), f"{source}, {truth.reference}" if truth.reference else source),
            (_("Recorded on"), "" if recorded is None else _day(timezone.localdate(recorded))),
        ]
        yield Facts(tuple(row for row in rows if row[1]))
    if words := answer_words(outcome.answer):
        yield Text(words)
    if outcome.management:
        yield Text(management_words(outcome), Style.STRONG)
    for note in outcome.notes:
        yield Text(note)


def _not_yet(outcome: ClinicalOutcome) -> Iterator[Text]:
    if outcome.stage is ReviewStage.ASKED:
        yield Text(_("A clinician has been asked to look at this photo and has not done so yet."))
    elif outcome.is_under_way:
        yield Text(_("A clinician has looked at this photo, and another one is looking at it as well."))
    if outcome.examine:
        yield Text(_("A clinician wants this spot to be examined in person."), Style.STRONG)


def _answer(result: Result) -> Iterator[Block]:
    answer = result.answer
    if answer is None:
        return
    assessment = answer.assessment
    yield Text(_("What the classifier says"), Style.HEADING)
    if assessment.is_refused:
        yield Text(
            _("The picture did not pass the checks, so this is no answer. It is kept for clinicians."), Style.STRONG
        )
    if answer.figures.score is not None:
        yield Text(_measured(answer.figures.score), Style.STRONG)
    name = f"{diagnosis_name(assessment.diagnosis)} ({assessment.diagnosis})"
    likely = _("Most likely: %(name)s, %(share)s") % {"name": name, "share": _percent(assessment.confidence)}
    yield Text(likely, Style.LARGE)
    yield Text(str(plain_words(assessment.diagnosis)))
    if answer.uncertain:
        yield Text(_("It is not certain: the picture does not tell several diagnoses apart."))
    if answer.told is not None:
        yield from _told(answer, answer.told)
    yield Text(answer.case_mix, Style.QUIET)
    yield ProbabilityBars(
        tuple(
            ProbabilityRow(f"{bar.name} ({bar.code})", bar.probability, _percent(bar.probability), bar.cancer, bar.top)
            for bar in answer.bars
        )
    )
    yield Text(
        _("The three cancers among them (melanoma, basal cell and squamous cell carcinoma) add up to %(score)s.")
        % {"score": _percent(answer.cancers)},
    )
    if len(assessment.prediction_set) > 1:
        yield Text(_set(answer))
    yield from _trust(answer, answer.figures)


def _measured(score: ScoreFigures) -> str:
    """What was measured at this score, for this kind of picture."""
    if score.image_type == DERMOSCOPIC:
        words = _("Of 100 dermatoscope pictures with score %(score)d of 10, %(share)s showed a cancer.")
    else:
        words = _("Of 100 phone or camera photos with score %(score)d of 10, %(share)s showed a cancer.")
    return words % {"score": score.score, "share": score.cancers.said}


def _told(answer: ClassifierAnswer, told: ToldBasis) -> Iterator[Block]:
    yield Text(_("Besides the picture, this counted: %(names)s.") % {"names": names(told.names)})
    together = _("%(name)s, %(share)s; the three cancers together %(cancers)s")
    rows = (
        (_("The picture alone"), told.diagnosis_alone, told.confidence_alone, told.cancers_alone),
        (_("With what was told"), answer.diagnosis, answer.assessment.confidence, told.cancers),
    )
    yield Facts(
        tuple(
            (
                label,
                together % {"name": diagnosis_name(diagnosis), "share": _percent(share), "cancers": _percent(cancers)},
            )
            for label, diagnosis, share, cancers in rows
        )
    )


def _set(answer: ClassifierAnswer) -> str:
    listed = diagnosis_names(answer.assessment.prediction_set)
    sets = answer.figures.sets
    if sets is None or sets.test_coverage is None:
        return _("The right diagnosis may be any of these: %(names)s.") % {"names": listed}
    words = _(
        "In %(share)d of 100 test pictures the right diagnosis was in a list made like this one: %(names)s. For rare "
        "diagnoses it was less often."
    )
    return words % {"share": hundredths(sets.test_coverage), "names": listed}


def _trust(answer: ClassifierAnswer, figures: SealedFigures) -> Iterator[Block]:
    score = answer.assessment.score
    if score is None and not figures.points:
        return
    yield Text(_("How far to trust it"), Style.HEADING)
    if score is not None:
        yield Text(_("Score %(score)d of 10") % {"score": score}, Style.STRONG)
    if figures.score is not None:
        share = figures.score.cancers
        words = _(
            "Of 100 test pictures with score %(score)d, %(share)s showed a cancer (between %(low)d and %(high)d). Of "
            "100 pictures with any score, %(all)d show one: they come from skin clinics."
        )
        yield Text(
            words
            % {
                "score": figures.score.score,
                "share": of_hundred(share.value),
                "low": hundredths(share.low),
                "high": hundredths(share.high),
                "all": hundredths(figures.score.all_cancers),
            }
        )
    if figures.points:
        yield _points(figures)


def _points(figures: SealedFigures) -> FigureTable:
    decisions = {Decision.URGENT: _("Within days"), Decision.SOON: _("Soon or within days")}
    measures: Sequence[tuple[str, str]] = (
        (_("Cancers found (sensitivity)"), "sensitivity"),
        (_("Melanomas found (sensitivity for melanoma)"), "melanoma_sensitivity"),
        (_("Harmless spots not sent to a doctor (specificity)"), "specificity"),
    )
    return FigureTable(
        head=(
            _("How often the advice to see a doctor was right in the test"),
            *(decisions[point.decision] for point in figures.points),
        ),
        rows=tuple((words, *(_interval(getattr(point, name)) for point in figures.points)) for words, name in measures),
    )


def _interval(share: Interval | None) -> str:
    if share is None:
        return "–"
    return _("%(share)s (%(low)d to %(high)d)") % {
        "share": _percent(share.value),
        "low": hundredths(share.low),
        "high": hundredths(share.high),
    }


def _history(history: PhotoHistory | None) -> Iterator[Block]:
    if history is None or not history.answered:
        return
    yield Text(_("What the patient says of the spot"), Style.HEADING)
    rows = [(_field_name(PhotoHistory, "duration"), str(history.get_duration_display()) if history.duration else "")]
    rows += [(_field_name(PhotoHistory, name), _yes_or_no(getattr(history, name))) for name in QUESTIONS]
    rows.append((_("In the patient’s own words"), history.note))
    yield Facts(tuple(row for row in rows if row[1]))
    yield Text(_("7-point checklist: %(score)d of 10 points") % {"score": history.checklist_score}, Style.STRONG)
    yield Text(
        _("From 3 points on a doctor should see the spot (NICE guideline NG12). What was not answered counts as no."),
        Style.QUIET,
    )


def _person(profile: Profile | None) -> Iterator[Block]:
    if profile is None:
        return
    rows = [
        (
            _field_name(Profile, "fitzpatrick_skin_type"),
            str(profile.get_fitzpatrick_skin_type_display() or ""),
        ),
        *((_field_name(Profile, name), _yes_or_no(getattr(profile, name))) for name in PROFILE_QUESTIONS),
        (_field_name(Profile, "note"), profile.note),
    ]
    known = tuple(row for row in rows if row[1])
    if known:
        yield Text(_("What the patient says of themselves"), Style.HEADING)
        yield Facts(known)


def _origin(photo: Photo, result: Result) -> Iterator[Block]:
    yield Text(_("Origin and limits"), Style.HEADING)
    rows = [(_("Photo"), str(photo.pk)), (_("SHA-256 of the photo"), photo.sha256)]
    if result.answer is not None:
        assessment: PhotoAssessment = result.answer.assessment
        classifier = assessment.prediction.classifier
        rows += [
            (_("Classifier"), classifier.version),
            (_("SHA-256 of the classifier"), classifier.sha256),
            (_("Answered on"), _moment(assessment.created)),
        ]
    yield Facts(tuple(rows))
    yield Text(
        _(
            "Teri is no medical device, and this report is not a diagnosis. Teri compares a picture with eight "
            "diagnoses it has learned, knows no others, and can be wrong, also when it seems sure. It learned from "
            "dermatoscope pictures, most of them of lighter skin; on ordinary photos and on darker skin it is less "
            "reliable."
        ),
        Style.QUIET,
    )


def _field_name(model: type[PhotoHistory] | type[Profile], name: str) -> str:
    return capfirst(str(model._meta.get_field(name).verbose_name))  # type: ignore[union-attr]  # columns, no relations


def _yes_or_no(answer: bool | None) -> str:
    """The text of an answer. Empty if the question was not answered."""
    if answer is None:
        return ""
    return _("yes") if answer else _("no")


def _moment(when: datetime) -> str:
    return date_format(timezone.localtime(when), "DATETIME_FORMAT")


def _day(day: date) -> str:
    return date_format(day, "DATE_FORMAT")


def _percent(share: float) -> str:
    """As on the pages, but with a plain space: a no-break space from reportlab cannot be copied from the PDF."""
    return percent(share).replace("\N{NO-BREAK SPACE}", " ")
