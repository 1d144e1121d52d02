"""The CSV file of the worklist and the agreement page."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.csv_rows import safe_cell
from accounts.models import AuditEntry, Role, User
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.services import create_lesion
from diagnoses.photos.models import Photo
from diagnoses.photos.predictions import claim_photo, record_prediction
from diagnoses.readings.counts import counted_readings
from diagnoses.readings.export import COLUMNS
from diagnoses.readings.findings import record_finding
from diagnoses.readings.models import Reading
from diagnoses.readings.services import begin_reading, record_blind, record_final
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC
from tests.diagnoses.answers import PLAIN, made_outputs

SignIn = Callable[[User], Client]
MakePhoto = Callable[..., Photo]
Predict = Callable[..., Photo]
NEVUS = [0.1, 0.5, 0.05, 0.15, 0.05, 0.05, 0.05, 0.05]

pytestmark = pytest.mark.django_db


def read(photo: Photo, by: User, said: str, *, blind: str = "") -> Reading:
    begun = begin_reading(photo=photo, by=by)
    record_blind(reading=begun, by=by, answer="diagnosis", diagnosis=blind or said)
    return record_final(
        reading=begun, by=by, answer="diagnosis", diagnosis=said, management="refer", override_reason="so",
        shown_role="adjudication",
    )  # fmt: skip


def exported(client: Client, **query: Any) -> list[dict[str, str]]:
    response = client.get("/review/export/", query)
    assert response.status_code == 200
    body = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # it streams
    assert body.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(body[1:], newline="")))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("left arm", "left arm"), ("", ""), ("=1+1", "'=1+1"), ("+7 701", "'+7 701"), ("-2", "'-2"), ("@a", "'@a"),
        ("\tx", "'\tx"), ("\rx", "'\rx"), ("\0=x", "'=x"), ("a=1", "a=1"),
    ],
)  # fmt: skip
def test_no_cell_is_a_formula(text: str, cell: str) -> None:
    assert safe_cell(text) == cell


class TestExport:
    def test_a_row_says_what_is_known(
        self, patient: User, clinician: User, make_photo: MakePhoto, predict: Predict, sign_in: SignIn
    ) -> None:
        lesion = create_lesion(owner=patient, name="=HYPERLINK(1)")
        fields = {"age_approx": 40, "sex": "female", "image_type": "clinical: close-up"}
        photo = predict(make_photo(patient, lesion=lesion, **fields), probabilities=NEVUS)
        read(photo, clinician, "NV")
        record_finding(photo=photo, by=clinician, diagnosis="MEL", source="histopathology")
        [row] = exported(sign_in(clinician), state="all")
        assert list(row) == list(COLUMNS)
        assert row["image"] == str(photo.pk)
        assert (row["age_approx"], row["sex"], row["lesion_name"]) == ("40", "female", "'=HYPERLINK(1)")
        assert row["image_type"] == "clinical: close-up"
        assert [float(row[code]) for code in CODES] == pytest.approx(NEVUS)
        assert (row["diagnosis"], row["final_diagnosis"], row["histopathology"]) == ("NV", "NV", "MEL")
        assert (row["review_state"], row["readings"], row["management"]) == ("read", "1", "refer")
        assert patient.email not in str(row)

    def test_names_only_when_asked_for_and_it_is_audited(
        self, patient: User, clinician: User, make_photo: MakePhoto, sign_in: SignIn
    ) -> None:
        for _ in range(3):
            make_photo(patient)
        client = sign_in(clinician)
        assert len(exported(client)) == 3
        assert {row["patient_email"] for row in exported(client, with_patient="1")} == {patient.email}
        entries = AuditEntry.objects.filter(action="list-exported", actor=str(clinician.pk)).order_by("pk")
        assert [entry.detail for entry in entries] == [
            {"rows": 3, "with_patient": False}, {"rows": 3, "with_patient": True},
        ]  # fmt: skip

    def test_it_holds_what_the_filters_let_through(
        self, patient: User, clinician: User, make_photo: MakePhoto, sign_in: SignIn
    ) -> None:
        wanted = make_photo(patient, anatom_site_general="head/neck")
        make_photo(patient)
        make_photo(patient, review_state="read", anatom_site_general="head/neck")
        make_photo(clinician, anatom_site_general="head/neck")
        assert [row["image"] for row in exported(sign_in(clinician), site="head/neck")] == [str(wanted.pk)]

    def test_patients_get_none(self, patient: User, make_photo: MakePhoto, sign_in: SignIn) -> None:
        make_photo(patient)
        assert sign_in(patient).get("/review/export/").status_code == 404
        assert not AuditEntry.objects.filter(action="list-exported").exists()

    def test_it_costs_the_same_with_few_and_with_many(
        self, patient: User, clinician: User, make_photo: MakePhoto, predict: Predict, sign_in: SignIn
    ) -> None:
        client = sign_in(clinician)

        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                exported(client, state="all")
            return len(captured)

        predict(make_photo(patient))
        few = queries()
        for _ in range(10):
            predict(make_photo(patient))
        assert queries() == few


class TestAgreement:
    @pytest.fixture
    def colleague(self) -> User:
        return User.objects.create_user("colleague@example.org", "x", name="Dr D", role=Role.CLINICIAN)

    @pytest.fixture
    def third(self) -> User:
        return User.objects.create_user("third@example.org", "x", name="Dr E", role=Role.CLINICIAN)

    @pytest.fixture
    def readings(
        self, patient: User, clinician: User, colleague: User, third: User, make_photo: MakePhoto, predict: Predict
    ) -> None:
        """The classifier always says nevus."""
        photos = [predict(make_photo(patient), probabilities=NEVUS) for _ in range(4)]
        read(photos[0], clinician, "NV")
        read(photos[1], clinician, "NV", blind="MEL")  # towards the classifier
        read(photos[2], clinician, "MEL", blind="NV")  # away from it
        read(photos[2], colleague, "MEL")
        read(photos[3], clinician, "BKL")
        read(photos[3], colleague, "NV")
        read(photos[3], third, "BKL")
        record_finding(photo=photos[2], by=clinician, diagnosis="MEL", source="histopathology")

    def test_the_figures(self, readings: None, administrator: User, sign_in: SignIn) -> None:
        context = sign_in(administrator).get("/review/agreement/").context
        agreed = [
            (each.agreement.pairs, each.agreement.agreed.hits if each.agreement.agreed else 0)
            for each in context["comparisons"]
        ]
        # Pairs blind and final; reader and classifier blind and final; reader and tissue; classifier and tissue.
        assert agreed == [(2, 0), (2, 1), (7, 3), (7, 3), (2, 1), (2, 2), (2, 0)]
        switches = context["switches"]
        assert (switches.readings, switches.switched.hits, switches.towards, switches.away) == (7, 2, 1, 1)
        assert (switches.known, switches.to_right, switches.to_wrong) == (2, 1, 0)
        assert [each.readings for each in context["readers"]] == [4, 2, 1]
        assert context["kinds"] == []  # of one kind nothing stands apart

    def test_kinds_of_picture_stand_apart(
        self,
        patient: User,
        clinician: User,
        make_photo: MakePhoto,
        predict: Predict,
        sign_in: SignIn,
        classifier_row: Classifier,
    ) -> None:
        for image_type, said in ((DERMOSCOPIC, "NV"), (DERMOSCOPIC, "MEL"), (CLOSE_UP, "NV"), ("", "BKL")):
            photo = predict(make_photo(patient), probabilities=NEVUS)
            Photo.objects.filter(pk=photo.pk).update(image_type=image_type)
            read(photo, clinician, said)
        # What was recognised counts where nothing was told.
        recognised = make_photo(patient)
        claim = claim_photo(recognised.pk)
        assert claim is not None
        record_prediction(
            claim=claim, classifier=classifier_row, outputs=made_outputs(NEVUS, dermoscopic=0.05), assessor=PLAIN,
            heatmap_png=None, runtime="test", duration_ms=1,
        )  # fmt: skip
        read(Photo.objects.get(pk=recognised.pk), clinician, "NV")
        response = sign_in(clinician).get("/review/agreement/")
        blind = 2  # reader and classifier
        assert response.context["comparisons"][blind].agreement.pairs == 5
        shown = {
            kind: (each[blind].agreement.pairs, each[blind].agreement.agreed.hits)
            for kind, each in response.context["kinds"]
        }
        assert shown == {DERMOSCOPIC: (2, 1), CLOSE_UP: (2, 2), "": (1, 0)}
        assert "Pictures taken with a phone or a camera" in response.content.decode()

    def test_a_clinician_sees_the_whole_and_themselves(self, readings: None, clinician: User, sign_in: SignIn) -> None:
        response = sign_in(clinician).get("/review/agreement/")
        assert [each.reader for each in response.context["readers"]] == [clinician]
        assert "Dr D" not in response.content.decode()

    def test_a_period(self, readings: None, administrator: User, sign_in: SignIn) -> None:
        day = (timezone.localdate() - timedelta(days=2)).isoformat()
        client = sign_in(administrator)
        assert client.get("/review/agreement/", {"until": day}).context["readings"] == 0
        assert client.get("/review/agreement/", {"since": day}).context["readings"] == 7
        upside_down = client.get("/review/agreement/", {"since": "2026-02-01", "until": "2026-01-01"})
        assert "The end lies before the beginning." in upside_down.content.decode()
        assert client.get("/review/agreement/", {"since": "nonsense"}).status_code == 200

    def test_a_period_has_its_first_moment_and_not_its_end(
        self, patient: User, clinician: User, make_photo: MakePhoto
    ) -> None:
        moment, second = timezone.now(), timedelta(seconds=1)
        Reading.objects.create(
            photo=make_photo(patient), reader=clinician, role="first", blind_answer="cannot-say", revealed=moment,
            answer="cannot-say", management="refer", recorded=moment,
        )  # fmt: skip
        assert len(counted_readings(since=moment, until=moment + second)) == 1
        assert counted_readings(since=moment - second, until=moment) == {}

    def test_photos_of_one_lesion_are_redrawn_together(
        self, patient: User, clinician: User, make_photo: MakePhoto, predict: Predict
    ) -> None:
        lesion = create_lesion(owner=patient, name="the spot", anatom_site_general="head/neck")
        for spot in (lesion, lesion, None, None):
            read(predict(make_photo(patient, lesion=spot), probabilities=NEVUS), clinician, "NV")
        now = timezone.now()
        counted = counted_readings(since=now - timedelta(days=1), until=now + timedelta(days=1))
        assert sorted((len(read), count) for read, count in counted.items()) == [(1, 2), (2, 1)]

    def test_a_refused_picture_has_no_answer_to_agree_with(
        self, patient: User, clinician: User, make_photo: MakePhoto, predict: Predict, assess: Callable[..., object]
    ) -> None:
        for assessment in (assess("not_assessed", "blurred"), assess("monitor")):
            read(predict(make_photo(patient), probabilities=NEVUS, assessment=assessment), clinician, "NV")
        now = timezone.now()
        counted = counted_readings(since=now - timedelta(days=1), until=now + timedelta(days=1))
        assert sorted(each.change.predicted for read in counted for each in read) == ["", "NV"]

    def test_without_readings(self, clinician: User, sign_in: SignIn) -> None:
        assert "Nothing was read in this period." in sign_in(clinician).get("/review/agreement/").content.decode()

    def test_patients_find_nothing(self, patient: User, sign_in: SignIn) -> None:
        assert sign_in(patient).get("/review/agreement/").status_code == 404
