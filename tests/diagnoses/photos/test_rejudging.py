"""After another classifier went live, photos that were told to wait are judged again, and rising advice is told."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Consent, ConsentText, Notification, Purpose, User
from diagnoses.classifiers.models import Classifier
from diagnoses.monitoring.notices.promotion import judged_again
from diagnoses.photos import recovery
from diagnoses.photos.models import Photo
from diagnoses.photos.predictions import claim_photo, fail_photo
from diagnoses.photos.recovery import sweep
from diagnoses.photos.rejudging import BATCH, Sweep, judge_again, left_to_judge, rises
from diagnoses.readings.models import Finding
from recognition.inference.assessment import Assessment, Decision
from recognition.taxonomy import CODES
from tests.diagnoses.answers import record_answer

Assess = Callable[..., Assessment]


@pytest.fixture(autouse=True)
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep of this process rests for a minute when an earlier test left nothing to judge again."""
    monkeypatch.setattr(recovery, "_judge_again", Sweep())


@pytest.fixture
def judge(assess: Assess) -> Callable[..., None]:
    """Record what a classifier says of a queued photo."""

    def do(photo: Photo, classifier: Classifier, decision: str, *, malignant: float = 0.1) -> None:
        claim = claim_photo(photo.pk)
        assert claim is not None
        score = None if decision == Decision.NOT_ASSESSED else 5
        codes = ("blurred",) if decision == Decision.NOT_ASSESSED else ()
        shares = [malignant, 1 - malignant, *[0.0] * (len(CODES) - 2)]
        record_answer(claim, classifier, shares, assess(decision, *codes, score=score))

    return do


@pytest.fixture
def successor(classifier_row: Classifier) -> Classifier:
    """Another classifier, not live yet."""
    return Classifier.objects.create(version="successor", sha256="5" * 64, manifest={"diagnoses": list(CODES)})


def go_live(classifier: Classifier) -> None:
    Classifier.objects.filter(stage=Classifier.Stage.LIVE).update(stage=Classifier.Stage.RETIRED)
    Classifier.objects.filter(pk=classifier.pk).update(stage=Classifier.Stage.LIVE, promoted=timezone.now())


def notified(user: User) -> int:
    return Notification.objects.filter(user=user, kind=Notification.Kind.RESULT).count()


def test_what_was_told_to_wait_is_judged_again_the_likeliest_cancer_first(
    make_photo: Callable[..., Photo],
    judge: Callable[..., None],
    patient: User,
    classifier_row: Classifier,
    successor: Classifier,
) -> None:
    told = {
        decision: make_photo(patient)
        for decision in (Decision.URGENT, Decision.SOON, Decision.MONITOR, Decision.NOT_ASSESSED)
    }
    for decision, photo in told.items():
        judge(photo, classifier_row, decision)
    risky = make_photo(patient)
    judge(risky, classifier_row, Decision.MONITOR, malignant=0.3)
    assert judge_again() == 0  # the live one has judged all of them
    go_live(successor)
    assert set(left_to_judge(successor)) == {told[Decision.MONITOR], told[Decision.NOT_ASSESSED], risky}
    assert left_to_judge(successor).order_by("-malignant_score").first() == risky
    (notice,) = judged_again()
    assert "3 photos that were told" in notice.text

    assert judge_again() == 3
    waiting = Photo.objects.waiting()
    assert set(waiting) == {told[Decision.MONITOR], told[Decision.NOT_ASSESSED], risky}
    assert all(photo.published is None for photo in waiting)  # the sweep sends the messages
    for photo in waiting:
        judge(photo, successor, Decision.MONITOR)
    assert not left_to_judge(successor).exists()
    assert list(judged_again()) == []
    assert judge_again() == 0


def test_new_uploads_come_first_and_batches_are_small(
    make_photo: Callable[..., Photo],
    judge: Callable[..., None],
    patient: User,
    classifier_row: Classifier,
    successor: Classifier,
) -> None:
    for _ in range(BATCH + 1):
        judge(make_photo(patient), classifier_row, Decision.MONITOR)
    go_live(successor)
    upload = make_photo(patient)
    assert judge_again() == 0
    judge(upload, successor, Decision.SOON)
    assert judge_again() == BATCH
    assert judge_again() == 0  # until these are done
    for photo in Photo.objects.waiting():
        judge(photo, successor, Decision.MONITOR)
    assert judge_again() == 1


def test_a_killed_worker_loses_nothing(
    make_photo: Callable[..., Photo],
    judge: Callable[..., None],
    patient: User,
    classifier_row: Classifier,
    successor: Classifier,
) -> None:
    photo = make_photo(patient)
    judge(photo, classifier_row, Decision.MONITOR)
    go_live(successor)
    assert sweep().again == 1
    assert claim_photo(photo.pk) is not None
    Photo.objects.update(lease_expires=timezone.now() - timedelta(seconds=1))  # the worker was killed
    assert sweep().requeued == 1
    judge(photo, successor, Decision.SOON)
    photo.refresh_from_db()
    assert photo.decision == Decision.SOON


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (Decision.MONITOR, Decision.URGENT, True),
        (Decision.MONITOR, Decision.SOON, True),
        (Decision.NOT_ASSESSED, Decision.SOON, True),
        (Decision.MONITOR, Decision.NOT_ASSESSED, True),
        (Decision.MONITOR, Decision.MONITOR, False),
        (Decision.NOT_ASSESSED, Decision.MONITOR, False),
    ],
)
def test_people_are_told_only_when_the_advice_rises(
    make_photo: Callable[..., Photo],
    judge: Callable[..., None],
    patient: User,
    classifier_row: Classifier,
    successor: Classifier,
    before: Decision,
    after: Decision,
    told: bool,
) -> None:
    photo = make_photo(patient)
    judge(photo, classifier_row, before)
    assert notified(patient) == 1
    go_live(successor)
    judge_again()
    judge(photo, successor, after)
    photo.refresh_from_db()
    assert photo.decision == after  # a fall is shown
    assert notified(patient) == 1 + told
    assert rises(before, after) == told


def test_after_a_roll_back_the_first_answer_counts_again_and_its_rise_is_told(
    make_photo: Callable[..., Photo],
    judge: Callable[..., None],
    patient: User,
    classifier_row: Classifier,
    successor: Classifier,
) -> None:
    photo = make_photo(patient)
    judge(photo, classifier_row, Decision.SOON)
    go_live(successor)
    Photo.objects.update(status=Photo.Status.QUEUED)  # a clinician asked
    judge(photo, successor, Decision.MONITOR)
    assert notified(patient) == 1
    go_live(classifier_row)
    assert judge_again() == 1
    judge(photo, classifier_row, Decision.SOON)
    photo.refresh_from_db()
    assert photo.decision == Decision.SOON
    assert notified(patient) == 2
    assert photo.predictions.count() == 2


def test_a_failure_of_the_second_analysis_is_not_announced(
    make_photo: Callable[..., Photo],
    judge: Callable[..., None],
    patient: User,
    classifier_row: Classifier,
    successor: Classifier,
) -> None:
    photo, new = make_photo(patient), make_photo(patient)
    judge(photo, classifier_row, Decision.MONITOR)
    go_live(successor)
    Photo.objects.filter(pk=photo.pk).update(status=Photo.Status.QUEUED)
    for each in (photo, new):
        claim = claim_photo(each.pk)
        assert claim is not None
        assert fail_photo(claim=claim, code="prediction_failed")
    told = Notification.objects.filter(user=patient, kind=Notification.Kind.FAILED)
    assert [each.subject for each in told] == [f"photo:{new.pk}"]


def test_a_doctor_has_spoken_or_the_person_withdrew(
    make_photo: Callable[..., Photo],
    judge: Callable[..., None],
    patient: User,
    clinician: User,
    classifier_row: Classifier,
    successor: Classifier,
) -> None:
    diagnosed, other = make_photo(patient), make_photo(patient)
    for photo in (diagnosed, other):
        judge(photo, classifier_row, Decision.MONITOR)
    Finding.objects.create(photo=diagnosed, diagnosis="NV", source=Finding.Source.HISTOPATHOLOGY, recorded_by=clinician)
    assert list(left_to_judge(successor)) == [other]
    text = ConsentText.objects.filter(purpose=Purpose.DIAGNOSIS).first() or ConsentText.objects.create(
        purpose=Purpose.DIAGNOSIS, version=1, text_kk="a", text_ru="b", text_en="c"
    )
    consent, _ = Consent.objects.get_or_create(user=patient, text=text)
    Consent.objects.filter(user=patient).update(withdrawn=None)
    assert list(left_to_judge(successor)) == [other]
    Consent.objects.filter(pk=consent.pk).update(withdrawn=timezone.now())
    assert list(left_to_judge(successor)) == []
    Consent.objects.filter(pk=consent.pk).update(withdrawn=None)
    User.objects.filter(pk=patient.pk).update(is_active=False)
    assert list(left_to_judge(successor)) == []


def test_the_sweep_rests_when_nothing_is_left(
    make_photo: Callable[..., Photo],
    judge: Callable[..., None],
    patient: User,
    classifier_row: Classifier,
    successor: Classifier,
) -> None:
    photo = make_photo(patient)
    judge(photo, classifier_row, Decision.MONITOR)
    resting = Sweep()
    assert resting() == 0
    go_live(successor)
    assert resting() == 0
    assert Sweep()() == 1
