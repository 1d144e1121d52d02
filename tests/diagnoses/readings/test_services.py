"""Readings: rules, permissions, written rows, and races."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from accounts.models import AuditEntry, Notification, Role, User
from accounts.permissions import NotAllowed
from diagnoses.photos.models import Photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.models import Finding, Reading
from diagnoses.readings.outcome import outcome_of, wants_a_visit
from diagnoses.readings.rules import Said, next_state, reason_for_second
from diagnoses.readings.services import (
    ReadingRefusal,
    ReadingRefused,
    begin_reading,
    record_blind,
    record_final,
    request_second_reading,
    settle_alone,
)

MakePhoto = Callable[..., Photo]
Predict = Callable[..., Photo]
PASSWORD = "correct horse battery"
MEL, NV, BKL = Said("diagnosis", "MEL"), Said("diagnosis", "NV"), Said("diagnosis", "BKL")
CANNOT, UNUSABLE = Said("cannot-say"), Said("unusable")
BOTH = ("malignant", "disagreement")
# The prediction of these tests is a nevus.
NEVUS = [0.1, 0.5, 0.05, 0.15, 0.05, 0.05, 0.05, 0.05]


@pytest.mark.parametrize(
    ("said", "predicted", "requested", "rules", "reason"),
    [
        (NV, "NV", False, BOTH, ""),
        (NV, "", False, BOTH, ""),
        (MEL, "MEL", False, BOTH, "malignant"),
        (MEL, "NV", False, BOTH, "malignant"),
        (MEL, "NV", True, BOTH, "malignant"),
        (Said("diagnosis", "BCC"), "BCC", False, BOTH, "malignant"),
        (Said("diagnosis", "SCC"), "SCC", False, BOTH, "malignant"),
        (Said("diagnosis", "AK"), "AK", False, BOTH, ""),  # can become a cancer, but is none
        (BKL, "NV", False, BOTH, "disagreement"),
        (BKL, "NV", True, BOTH, "requested"),
        (NV, "NV", True, BOTH, "requested"),
        (NV, "NV", True, (), "requested"),
        (MEL, "NV", False, (), ""),
        (MEL, "NV", False, ("disagreement",), "disagreement"),
        (BKL, "NV", False, ("malignant",), ""),
        (CANNOT, "MEL", False, BOTH, ""),
        (UNUSABLE, "MEL", True, BOTH, "requested"),
    ],
)
def test_when_a_second_reader_is_wanted(
    said: Said, predicted: str, requested: bool, rules: tuple[str, ...], reason: str
) -> None:
    assert reason_for_second(said, predicted=predicted, requested=requested, rules=rules) == reason


@pytest.mark.parametrize(
    ("role", "said", "first", "wanted", "somebody", "state"),
    [
        ("first", NV, None, False, True, "read"),
        ("first", MEL, None, True, True, "second"),
        ("first", MEL, None, True, False, "read"),
        ("second", MEL, MEL, False, True, "read"),
        ("second", NV, MEL, False, True, "adjudication"),
        ("second", NV, MEL, False, False, "adjudication"),
        ("second", CANNOT, CANNOT, False, True, "read"),
        ("second", UNUSABLE, CANNOT, False, True, "adjudication"),
        ("adjudication", NV, MEL, False, True, "read"),
        ("adjudication", CANNOT, MEL, False, True, "read"),
    ],
)
def test_where_a_photo_goes_next(
    role: str, said: Said, first: Said | None, wanted: bool, somebody: bool, state: str
) -> None:
    assert next_state(role, said, first=first, second_wanted=wanted, somebody_else=somebody) == state


@pytest.fixture
def readers(db: None) -> list[User]:
    return [
        User.objects.create_user(f"reader{number}@example.org", PASSWORD, name=f"Dr {number}", role=Role.CLINICIAN)
        for number in range(1, 4)
    ]


@pytest.fixture
def photo(patient: User, make_photo: MakePhoto, predict: Predict) -> Photo:
    return predict(make_photo(patient), probabilities=NEVUS)


def read(photo: Photo, by: User, said: Said, *, blind: Said | None = None, **values: Any) -> Reading:
    """Both answers of one reader."""
    first = blind or said
    begun = begin_reading(photo=photo, by=by)
    record_blind(reading=begun, by=by, answer=first.answer, diagnosis=first.diagnosis)
    return finish(begun, by, said, **values)


def finish(begun: Reading, by: User, said: Said, **values: Any) -> Reading:
    role = {"second": "second", "adjudication": "adjudication"}.get(
        Photo.objects.get(pk=begun.photo_id).review_state, "first"
    )
    given: dict[str, Any] = {"management": "refer", "override_reason": "looks so", "shown_role": role, **values}
    return record_final(reading=begun, by=by, answer=said.answer, diagnosis=said.diagnosis, **given)


def now(photo: Photo) -> Photo:
    return Photo.objects.get(pk=photo.pk)


class TestOneReader:
    def test_both_answers_are_kept_and_the_photo_is_settled(self, photo: Photo, readers: list[User]) -> None:
        begun = begin_reading(photo=photo, by=readers[0])
        assert begin_reading(photo=photo, by=readers[0]) == begun
        blind = record_blind(reading=begun, by=readers[0], answer="diagnosis", diagnosis="BKL")
        assert blind.assessment == photo.assessment
        assert blind.revealed is not None
        done = finish(begun, readers[0], NV, management="discharge", note=" All well. ")
        assert (done.role, done.blind_diagnosis, done.diagnosis, done.note) == ("first", "BKL", "NV", "All well.")
        assert done.switched
        assert done.override_reason == ""  # nothing was overridden
        settled = now(photo)
        assert (settled.review_state, settled.second_reason) == ("read", "")
        assert settled.review_closed is not None
        finding = Finding.objects.get()
        assert (finding.reading, finding.diagnosis, finding.source, finding.note) == (
            done, "NV", "clinician", "All well.",
        )  # fmt: skip
        outcome = outcome_of(settled)
        assert outcome is not None
        assert (outcome.diagnosis, outcome.management, outcome.notes) == ("NV", "discharge", ("All well.",))
        assert [n.kind for n in Notification.objects.filter(user=photo.owner, key__startswith="review:")] == ["review"]
        actions = AuditEntry.objects.filter(subject=f"photo:{photo.pk}").values_list("action", flat=True)
        assert {"reading-recorded", "finding-recorded"} <= set(actions)

    @pytest.mark.parametrize("said", [CANNOT, UNUSABLE])
    def test_no_diagnosis_settles_without_a_finding(self, photo: Photo, readers: list[User], said: Said) -> None:
        read(photo, readers[0], said, management="" if said is UNUSABLE else "refer")
        settled = now(photo)
        assert settled.review_state == "read"
        assert not Finding.objects.exists()
        outcome = outcome_of(settled)
        assert outcome is not None and outcome.answer == said.answer
        assert wants_a_visit(settled) is (said is CANNOT)

    def test_a_photo_without_a_prediction_can_be_read(
        self, patient: User, readers: list[User], make_photo: MakePhoto
    ) -> None:
        unpredicted = make_photo(patient)
        done = read(unpredicted, readers[0], BKL, override_reason="")
        assert done.assessment is None
        assert now(unpredicted).review_state == "read"

    def test_a_refused_picture_has_no_answer_to_disagree_with(
        self, patient: User, readers: list[User], make_photo: MakePhoto, predict: Predict, assess: Any
    ) -> None:
        refused = predict(make_photo(patient), probabilities=NEVUS, assessment=assess("not_assessed", "blurred"))
        read(refused, readers[0], BKL, override_reason="")
        assert now(refused).review_state == "read"

    @pytest.mark.parametrize(
        ("values", "field"),
        [
            ({"management": ""}, "management"),
            ({"management": "operate"}, "management"),
            ({"management": "monitor"}, "monitor_months"),
            ({"management": "monitor", "monitor_months": 2}, "monitor_months"),
            ({"management": "discharge"}, "management"),
            ({"override_reason": "  "}, "override_reason"),
            ({"override_reason": "x" * 501}, "override_reason"),
        ],
    )
    def test_what_is_missing_is_named_and_nothing_is_written(
        self, photo: Photo, readers: list[User], values: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(ValidationError) as raised:
            read(photo, readers[0], MEL, **values)
        assert set(raised.value.message_dict) == {field}
        assert not Reading.objects.recorded().exists()
        assert now(photo).review_state == "unread"

    @pytest.mark.parametrize(
        ("answer", "diagnosis"), [("", ""), ("diagnosis", ""), ("diagnosis", "UNK"), ("cannot-say", "MEL"), ("x", "")]
    )
    def test_an_answer_that_is_none(self, photo: Photo, readers: list[User], answer: str, diagnosis: str) -> None:
        begun = begin_reading(photo=photo, by=readers[0])
        with pytest.raises(ValidationError):
            record_blind(reading=begun, by=readers[0], answer=answer, diagnosis=diagnosis)

    def test_the_blind_answer_stands(self, photo: Photo, readers: list[User]) -> None:
        begun = begin_reading(photo=photo, by=readers[0])
        with pytest.raises(ReadingRefused) as early:
            finish(begun, readers[0], NV)
        assert early.value.code is ReadingRefusal.NOT_REVEALED
        first = record_blind(reading=begun, by=readers[0], answer="diagnosis", diagnosis="NV")
        assert record_blind(reading=begun, by=readers[0], answer="diagnosis", diagnosis="NV").revealed == first.revealed
        with pytest.raises(ReadingRefused) as other:
            record_blind(reading=begun, by=readers[0], answer="diagnosis", diagnosis="MEL")
        assert other.value.code is ReadingRefusal.BLIND_STANDS
        with pytest.raises(IntegrityError), transaction.atomic():
            Reading.objects.filter(pk=begun.pk).update(blind_diagnosis="MEL")

    def test_nobody_reads_a_photo_twice(self, photo: Photo, readers: list[User]) -> None:
        done = read(photo, readers[0], MEL)
        attempts: list[Callable[[], Reading]] = [
            lambda: begin_reading(photo=photo, by=readers[0]),
            lambda: finish(done, readers[0], NV),
        ]
        for again in attempts:
            with pytest.raises(ReadingRefused) as raised:
                again()
            assert raised.value.code is ReadingRefusal.ALREADY


class TestWhoMay:
    def test_patients_and_the_deactivated_read_nothing(
        self, photo: Photo, patient: User, other_patient: User, deactivated: User, readers: list[User]
    ) -> None:
        done = read(photo, readers[0], NV)
        for user in (patient, other_patient, deactivated):
            with pytest.raises(NotAllowed):
                begin_reading(photo=photo, by=user)
            with pytest.raises(NotAllowed):
                record_blind(reading=done, by=user, answer="cannot-say")
            with pytest.raises(NotAllowed):
                request_second_reading(photo=photo, by=user)
            with pytest.raises(NotAllowed):
                settle_alone(photo=photo, by=user)

    def test_nobody_answers_for_another(self, photo: Photo, readers: list[User]) -> None:
        begun = begin_reading(photo=photo, by=readers[0])
        with pytest.raises(NotAllowed):
            record_blind(reading=begun, by=readers[1], answer="cannot-say")
        with pytest.raises(NotAllowed):
            finish(begun, readers[1], NV)

    def test_nobody_reads_their_own(self, readers: list[User], make_photo: MakePhoto) -> None:
        with pytest.raises(NotAllowed):
            begin_reading(photo=make_photo(readers[0]), by=readers[0])
        assert not Reading.objects.exists()


class TestTwoAndThree:
    def test_two_who_agree(self, photo: Photo, readers: list[User]) -> None:
        read(photo, readers[0], MEL, management="refer", note="First.")
        waiting = now(photo)
        assert (waiting.review_state, waiting.second_reason) == ("second", "malignant")
        assert waiting.ground_truth is None
        assert outcome_of(waiting) is None
        assert wants_a_visit(waiting)  # this does not wait
        assert Notification.objects.filter(user=photo.owner, key__startswith="reading:").count() == 1
        second = read(photo, readers[1], MEL, management="biopsy", note="Second.")
        assert second.role == "second"
        settled = now(photo)
        assert settled.review_state == "read"
        assert Finding.objects.get().reading == second
        outcome = outcome_of(settled)
        assert outcome is not None
        # The more careful management, and both notes.
        assert (outcome.management, outcome.notes) == ("biopsy", ("First.", "Second."))

    @pytest.mark.parametrize("first", ["refer", "discharge"])
    def test_the_more_careful_management_counts_whoever_said_it(
        self, photo: Photo, readers: list[User], first: str
    ) -> None:
        other = {"refer": "discharge", "discharge": "refer"}[first]
        read(photo, readers[0], NV, management=first, second_reading=True)
        assert now(photo).second_reason == "requested"
        read(photo, readers[1], NV, management=other)
        outcome = outcome_of(now(photo))
        assert outcome is not None and outcome.management == "refer"

    @pytest.mark.parametrize(("first", "second"), [(3, 12), (12, 3)])
    def test_of_two_who_monitor_the_shorter_interval_counts(
        self, photo: Photo, readers: list[User], first: int, second: int
    ) -> None:
        read(photo, readers[0], NV, management="monitor", monitor_months=first, second_reading=True)
        read(photo, readers[1], NV, management="monitor", monitor_months=second)
        outcome = outcome_of(now(photo))
        assert outcome is not None and (outcome.management, outcome.monitor_months) == ("monitor", 3)

    def test_two_who_differ_and_one_who_decides(self, photo: Photo, readers: list[User]) -> None:
        read(photo, readers[0], BKL)
        assert now(photo).second_reason == "disagreement"
        read(photo, readers[1], NV, management="discharge")
        waiting = now(photo)
        assert (waiting.review_state, waiting.review_closed) == ("adjudication", None)
        assert waiting.ground_truth is None
        third = read(photo, readers[2], CANNOT, management="refer")
        assert third.role == "adjudication"
        settled = now(photo)
        assert settled.review_state == "read"
        assert not Finding.objects.exists()
        outcome = outcome_of(settled)
        assert outcome is not None and outcome.reading == third

    def test_with_nobody_else_it_settles_at_once(self, photo: Photo, clinician: User, administrator: User) -> None:
        read(photo, clinician, MEL)
        settled = now(photo)
        assert (settled.review_state, settled.second_reason) == ("read", "malignant")
        with pytest.raises(ReadingRefused) as raised:
            request_second_reading(photo=photo, by=clinician)
        assert raised.value.code is ReadingRefusal.NOBODY

    def test_the_owner_is_no_second_reader(
        self, clinician: User, make_photo: MakePhoto, predict: Predict, administrator: User
    ) -> None:
        own = predict(make_photo(clinician), probabilities=NEVUS)
        read(own, administrator, MEL)
        assert now(own).review_state == "read"

    def test_a_rule_that_is_switched_off(self, photo: Photo, readers: list[User], settings: Any) -> None:
        settings.SECOND_READING_RULES = []
        read(photo, readers[0], MEL)
        assert now(photo).review_state == "read"

    def test_settling_alone_when_the_other_has_left(self, photo: Photo, readers: list[User]) -> None:
        first = read(photo, readers[0], MEL)
        with pytest.raises(ReadingRefused):
            settle_alone(photo=photo, by=readers[0])
        User.objects.filter(pk__in=[readers[1].pk, readers[2].pk]).update(is_active=False)
        settle_alone(photo=photo, by=readers[0])
        assert now(photo).review_state == "read"
        assert Finding.objects.get().reading == first

    def test_a_second_reading_afterwards(self, photo: Photo, readers: list[User]) -> None:
        read(photo, readers[0], NV)
        request_second_reading(photo=photo, by=readers[1])
        waiting = now(photo)
        assert (waiting.review_state, waiting.second_reason) == ("second", "requested")
        assert waiting.ground_truth is not None  # the patient keeps what they were told
        read(photo, readers[1], MEL)
        assert now(photo).review_state == "adjudication"
        with pytest.raises(ReadingRefused):
            request_second_reading(photo=photo, by=readers[1])
        read(photo, readers[2], MEL)
        truth = now(photo).ground_truth
        assert truth is not None and truth.diagnosis == "MEL"


class TestFindings:
    @pytest.mark.parametrize(("source", "kind"), [("histopathology", "histopathology"), ("clinician", "review")])
    def test_a_finding_closes_the_review_and_is_news(
        self, photo: Photo, readers: list[User], source: str, kind: str
    ) -> None:
        read(photo, readers[0], MEL)
        finding = record_finding(photo=photo, by=readers[1], diagnosis="BCC", source=source)
        closed = now(photo)
        assert closed.review_state == "read"
        assert closed.review_closed is not None
        assert outcome_of(closed) is None  # no reading settled it
        assert Notification.objects.get(key=f"finding:{finding.pk}").kind == kind
        truth = closed.ground_truth
        assert truth is not None and truth.diagnosis == "BCC"

    def test_a_later_word_outdates_the_outcome(self, photo: Photo, readers: list[User]) -> None:
        read(photo, readers[0], NV)
        record_finding(photo=photo, by=readers[1], diagnosis="MEL", source="clinician")
        assert outcome_of(now(photo)) is None


class TestTooLate:
    def begun(self, photo: Photo, by: User, said: Said) -> Reading:
        begun = begin_reading(photo=photo, by=by)
        return record_blind(reading=begun, by=by, answer=said.answer, diagnosis=said.diagnosis)

    def test_the_later_becomes_second_where_one_is_wanted(self, photo: Photo, readers: list[User]) -> None:
        late = self.begun(photo, readers[1], MEL)
        read(photo, readers[0], MEL)
        done = finish(late, readers[1], MEL, shown_role="first")
        assert done.role == "second"
        assert now(photo).review_state == "read"

    def test_the_later_is_told_and_may_insist(self, photo: Photo, readers: list[User]) -> None:
        late = self.begun(photo, readers[1], MEL)
        read(photo, readers[0], NV)
        with pytest.raises(ReadingRefused) as raised:
            finish(late, readers[1], MEL)
        assert raised.value.code is ReadingRefusal.CLOSED
        assert finish(late, readers[1], MEL, insist=True).role == "second"
        assert now(photo).review_state == "adjudication"

    def test_who_decides_must_have_seen_the_two(self, photo: Photo, readers: list[User]) -> None:
        late = self.begun(photo, readers[2], MEL)
        read(photo, readers[0], MEL)
        read(photo, readers[1], NV)
        with pytest.raises(ReadingRefused) as raised:
            finish(late, readers[2], MEL, shown_role="second")
        assert raised.value.code is ReadingRefusal.ADJUDICATES
        assert finish(late, readers[2], MEL).role == "adjudication"

    def test_what_the_tissue_says_ends_it(self, photo: Photo, readers: list[User]) -> None:
        late = self.begun(photo, readers[1], NV)
        record_finding(photo=photo, by=readers[0], diagnosis="MEL", source="histopathology")
        with pytest.raises(ReadingRefused) as raised:
            finish(late, readers[1], NV, insist=True)
        assert raised.value.code is ReadingRefusal.SETTLED

    def test_a_deleted_photo(self, photo: Photo, readers: list[User]) -> None:
        late = self.begun(photo, readers[1], NV)
        photo.delete()
        with pytest.raises(Photo.DoesNotExist):
            finish_late = {"management": "refer", "shown_role": "first"}
            record_final(reading=late, by=readers[1], answer="diagnosis", diagnosis="NV", **finish_late)  # type: ignore[arg-type]  # keywords


@pytest.mark.django_db(transaction=True)
def test_two_who_finish_at_the_same_moment(transactional_db: None, make_photo: MakePhoto, predict: Predict) -> None:
    """One becomes the first reader, the other the second: never two first readers, never a lost answer."""
    patient = User.objects.create_user("someone@example.org", PASSWORD)
    people = [
        User.objects.create_user(f"racer{number}@example.org", PASSWORD, role=Role.CLINICIAN) for number in range(3)
    ]
    photo = predict(make_photo(patient), probabilities=NEVUS)
    begun = [begin_reading(photo=photo, by=person) for person in people[:2]]
    for reading, person in zip(begun, people, strict=False):
        record_blind(reading=reading, by=person, answer="diagnosis", diagnosis="MEL")
    start = threading.Barrier(2)
    outcomes: list[object] = []

    def run(reading: Reading, person: User) -> None:
        try:
            start.wait(10)
            outcomes.append(finish(reading, person, MEL, shown_role="first").role)
        except BaseException as error:
            outcomes.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in zip(begun, people, strict=False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(map(str, outcomes)) == ["first", "second"]
    assert Photo.objects.get(pk=photo.pk).review_state == "read"
    assert Finding.objects.filter(photo=photo).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_who_open_a_photo_at_the_same_moment(transactional_db: None, make_photo: MakePhoto) -> None:
    """One person with two windows has one reading."""
    patient = User.objects.create_user("someone@example.org", PASSWORD)
    reader = User.objects.create_user("racer@example.org", PASSWORD, role=Role.CLINICIAN)
    photo = make_photo(patient)
    start = threading.Barrier(2)
    outcomes: list[object] = []

    def run() -> None:
        try:
            start.wait(10)
            outcomes.append(begin_reading(photo=photo, by=reader).pk)
        except BaseException as error:
            outcomes.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(outcomes)) == 1
    assert Reading.objects.get().pk == outcomes[0]
