"""The PDF report: its content for each reader, its fonts, and that user text cannot break it."""

import io
from collections.abc import Callable
from typing import Any

import pypdf
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from django.utils import translation
from PIL import Image

from accounts.models import AuditEntry, Profile, User
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.services import create_lesion
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.models import Photo
from diagnoses.readings.findings import record_finding
from diagnoses.results.report import make_report
from diagnoses.results.report.document import _image
from diagnoses.results.report.pictures import LONGEST_SIDE, ReportPicture, photo_picture
from recognition.inference.assessment import Assessment
from recognition.inference.case_mix import HAM10000
from recognition.taxonomy import CLOSE_UP
from tests.diagnoses.assessments import retell

MakePhoto = Callable[..., Photo]
Predict = Callable[..., Photo]
Assess = Callable[..., Assessment]
Picture = Callable[..., bytes]

NEVUS = [0.1, 0.7, 0.05, 0.03, 0.05, 0.03, 0.03, 0.01]
KAZAKH = "Әғқңөұүһі ӘҒҚҢӨҰҮҺІ"
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю"
POINT = {"value": 0.91, "low": 0.87, "high": 0.94}
MANIFEST: dict[str, Any] = {
    "assessment": {
        "decision": {"soon": {"threshold": 0.21}},
        "score": [{"score": 4, "pictures": 300, "malignant": 36, "share": 0.12, "low": 0.08, "high": 0.17}],
    },
    "metrics": {"decision": {"soon": {"sensitivity": POINT, "melanoma_sensitivity": POINT, "specificity": POINT}}},
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def photo(patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, picture: Picture) -> Photo:
    """A whole record: picture, heatmap, spot, history, profile, figures."""
    heat = io.BytesIO()
    Image.new("RGBA", (160, 120), (200, 60, 20, 128)).save(heat, "PNG")
    Profile.objects.create(user=patient, year_of_birth=1984, family_hx_mm=True, note="allergic to latex")
    lesion = create_lesion(owner=patient, name=f"Spot {KAZAKH}", anatom_site_general="head/neck")
    stored = make_photo(
        patient,
        lesion=lesion,
        image=default_storage.save("photos/report/photo.jpg", ContentFile(picture())),
        age_approx=42,
        sex="female",
        image_type="dermoscopic",
    )
    record_history(
        photo=stored, by=patient, answers=HistoryAnswers(duration="months", change_size=True, itch=False, note=RUSSIAN)
    )
    done = predict(stored, NEVUS, heatmap=heat.getvalue(), assessment=assess("soon", score=4))
    Classifier.objects.update(manifest=MANIFEST)
    return shown(done)


def shown(photo: Photo) -> Photo:
    return Photo.objects.for_display().get(pk=photo.pk)


def reader(pdf: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(pdf))


def language_of(pdf: bytes) -> object:
    """The declared language of the document, for screen readers."""
    return reader(pdf).root_object["/Lang"]


def words(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in reader(pdf).pages).split())


def test_it_says_what_a_doctor_wants_to_know(photo: Photo, clinician: User) -> None:
    record_finding(photo=photo, by=clinician, diagnosis="BKL", source="histopathology", note="Lab no. 17")
    text = words(make_report(shown(photo)))
    for expected in (
        "Report on a photo of the skin", "Patient A", "1984", "42", "female", KAZAKH, "head/neck",
        "through a dermatoscope", "This spot has been examined under the microscope",
        "What clinicians say", "Benign keratosis (BKL)", "Histopathology", "Lab no. 17",
        "Melanocytic nevus (NV)", "70 %", "Melanoma (MEL)", "10 %", "add up to 16 %",
        "Score 4 of 10", "Of 100 test pictures with score 4, 12 showed a cancer (between 8 and 17)",
        "91 % (87 to 94)",
        "Has changed in size", "some months", "7-point checklist: 2 of 10 points", RUSSIAN,
        "Parent, sibling or child had a melanoma", "allergic to latex",
        "test-1", "this report is not a diagnosis", "Page 1 of 2",
    ):  # fmt: skip
        assert expected in text, expected
    for digest in ("c" * 64, photo.sha256):  # longer than a line
        assert digest in text.replace(" ", "")
    assert "patient.a@example.org" not in text
    assert str(clinician) not in text


def test_it_says_the_same_as_the_page_of_kind_answers_and_case_mix(photo: Photo) -> None:
    retell(
        photo,
        image_type=CLOSE_UP,
        image_type_source="told",
        contradicted=True,
        case_mix=HAM10000.as_json(),
        picture_alone=[0.05, 0.41, 0.05, 0.1, 0.2, 0.09, 0.05, 0.05],
        used=["sex", "itch"],
    )
    manifest = {"image_types": {CLOSE_UP: MANIFEST}, "case_mix": HAM10000.as_json()}
    Classifier.objects.update(manifest=manifest)
    text = words(make_report(shown(photo)))
    for expected in (
        "with a phone or a camera (as told with the photo)",
        "It looks as if it was taken through a dermatoscope.",
        "Of 100 phone or camera photos with score 4 of 10, 12 showed a cancer.",
        "Most likely: Melanocytic nevus (NV), 70 %",
        "Besides the picture, this counted: sex, answers about the spot.",
        "Melanocytic nevus, 41 %; the three cancers together 15 %",
        "Melanocytic nevus, 70 %; the three cancers together 16 %",
        "people as they come to a clinic",
    ):
        assert expected in text, expected


@pytest.mark.parametrize(("language", "word"), [("kk", " ж. "), ("ru", "Дата отчёта"), ("en", "Report of")])
def test_it_is_in_the_language_of_its_reader(language: str, word: str, photo: Photo) -> None:
    with translation.override(language):
        pdf = make_report(photo)
    assert word in words(pdf)
    assert language_of(pdf) == language


@pytest.mark.parametrize("letters", [KAZAKH, RUSSIAN, "ЁЪЫЭЮЯёъыэюя", "“quotes” – dash … ≥ № °"])
def test_every_letter_can_be_read_and_copied(letters: str, photo: Photo) -> None:
    photo.lesion.name = letters  # type: ignore[union-attr]
    assert letters in words(make_report(photo))


def test_the_letters_are_embedded_and_only_those_used(photo: Photo) -> None:
    pdf = make_report(photo)
    fonts = {
        font.get_object()["/BaseFont"]: font.get_object()
        for page in reader(pdf).pages
        for font in page["/Resources"]["/Font"].values()  # type: ignore[index]
    }
    own = [font for name, font in fonts.items() if "DejaVuSans" in name]
    assert own
    assert all("+" in font["/BaseFont"] and "/FontFile2" in font["/FontDescriptor"] for font in own)
    assert len(pdf) < 400_000


def test_a_long_note_goes_on_over_the_pages(photo: Photo, clinician: User) -> None:
    note = " ".join(f"word{number}" for number in range(280)) + " " + "x" * 150
    for _ in range(3):
        record_finding(photo=photo, by=clinician, diagnosis="NV", source="clinician", note=note[:2000])
    photo.lesion.name = "W" * 100  # type: ignore[union-attr]
    text = words(make_report(shown(photo)))
    assert all(f"word{number} " in text for number in range(200))


def test_what_people_write_stays_text(photo: Photo, clinician: User) -> None:
    hostile = '<b>bold</b> & <font color="red">red</font> <img src="file:///etc/passwd"/> </para> {0} %s \x07 ﷽ 🙂'
    record_finding(photo=photo, by=clinician, diagnosis="NV", source="clinician", note=hostile)
    photo.owner.name = "<a href='x'>"
    text = words(make_report(shown(photo)))
    assert '<b>bold</b> & <font color="red">red</font> <img src="file:///etc/passwd"/> </para> {0} %s' in text


def test_a_refused_picture_has_no_answer_but_for_clinicians(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess
) -> None:
    photo = shown(predict(make_photo(patient), NEVUS, assessment=assess("not_assessed", "blurred")))
    text = words(make_report(photo))
    assert "This photo could not be assessed" in text and "The picture is blurred" in text
    assert "nevus" not in text and "70 %" not in text
    assert "It is kept for clinicians" in words(make_report(photo, for_clinician=True))


def test_before_the_analysis_it_says_so(patient: User, make_photo: MakePhoto) -> None:
    assert "has not been analysed yet" in words(make_report(shown(make_photo(patient))))


def test_without_the_name(photo: Photo) -> None:
    assert "Patient A" not in words(make_report(photo, with_name=False))


@pytest.mark.parametrize("size", [(400, 100), (100, 400), (3000, 2000), (7, 900)])
def test_the_picture_keeps_its_shape(size: tuple[int, int], picture: Picture) -> None:
    name = default_storage.save("photos/report/shape.jpg", ContentFile(picture(size=size)))
    made = photo_picture(name)
    assert made is not None
    assert max(made.width, made.height) <= LONGEST_SIDE
    image = _image(ReportPicture(made.jpeg, made.width, made.height), 200)
    assert image.drawWidth / image.drawHeight == pytest.approx(made.width / made.height)
    assert made.width / made.height == pytest.approx(size[0] / size[1], rel=0.1)


@pytest.mark.parametrize("damage", ["missing", "broken"])
def test_a_damaged_picture_does_not_cost_the_report(damage: str, photo: Photo) -> None:
    if damage == "missing":
        default_storage.delete(photo.image.name or "")
    else:
        photo.image.name = default_storage.save("photos/report/broken.jpg", ContentFile(b"no picture"))
    text = words(make_report(photo))
    assert "The picture could not be read" in text
    assert "Melanocytic nevus" in text


# --- Permission


def url(photo: Photo) -> str:
    return reverse("photo-report", args=[photo.pk])


@pytest.mark.parametrize(("who", "status"), [("patient", 200), ("clinician", 200), ("administrator", 200)])
def test_who_gets_it(who: str, status: int, photo: Photo, request: pytest.FixtureRequest) -> None:
    client = Client()
    client.force_login(request.getfixturevalue(who))
    response = client.get(url(photo))
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Cache-Control"] == "private, no-store"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="teri-')
    assert response.content.startswith(b"%PDF-")
    looked = AuditEntry.objects.filter(action="photo-viewed").count()
    assert looked == (0 if who == "patient" else 1)


@pytest.mark.parametrize(("who", "status"), [("other_patient", 404), ("deactivated", 302)])
def test_who_does_not(who: str, status: int, photo: Photo, request: pytest.FixtureRequest) -> None:
    client = Client()
    client.force_login(request.getfixturevalue(who))
    assert client.get(url(photo)).status_code == status
    assert Client().get(url(photo)).status_code == 302


def test_language_and_name_are_chosen_in_the_address(photo: Photo, patient: User) -> None:
    client = Client()
    client.force_login(patient)
    russian = client.get(url(photo), {"language": "ru", "anonymous": "1"}).content
    assert language_of(russian) == "ru"
    assert "Patient A" not in words(russian)
    unknown = client.get(url(photo), {"language": "../../etc"}).content
    assert language_of(unknown) == "en"


def test_the_owner_finds_it_on_the_page(photo: Photo, patient: User) -> None:
    client = Client()
    client.force_login(patient)
    html = client.get(reverse("photo", args=[photo.pk])).content.decode()
    assert f'action="{url(photo)}"' in html
    assert reverse("photo-share", args=[photo.pk]) in html
