"""The spots pages: overview, one spot, comparison, and every change by plain forms."""

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from accounts.models import AuditEntry, User
from diagnoses.lesions.forms import HistoryForm
from diagnoses.lesions.models import Lesion, Reminder
from diagnoses.lesions.services import BodyPlace, create_lesion
from diagnoses.lesions.spots import DOT_DISTANCE, drawings, spots_of
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.models import Photo, PhotoHistory
from diagnoses.readings.findings import record_finding
from recognition.taxonomy import DERMOSCOPIC

pytestmark = pytest.mark.django_db
MakePhoto = Callable[..., Photo]
SignIn = Callable[[User], Client]
HARMLESS = [0.02, 0.8, 0.03, 0.03, 0.05, 0.03, 0.02, 0.02]


@pytest.fixture
def browser(patient: User, sign_in: SignIn) -> Client:
    return sign_in(patient)


@pytest.fixture
def monitored(
    patient: User, make_photo: MakePhoto, predict: Callable[..., Photo], assess: Callable[..., Any]
) -> Lesion:
    """A spot with two photos 93 days apart that may be monitored."""
    lesion = create_lesion(owner=patient, name="left arm", place=BodyPlace.of_region("front-left-arm"))
    for days in (93, 0):
        photo = make_photo(patient, lesion=lesion, created=timezone.now() - timedelta(days=days))
        predict(photo, HARMLESS, assessment=assess("monitor", score=2))
    return lesion


def words(client: Client, name: str, *arguments: object, **query: str) -> str:
    response = client.get(reverse(name, args=arguments), query)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


# --- Overview


def test_an_empty_record_says_how_to_begin(browser: Client) -> None:
    page = words(browser, "lesion-list")
    assert "Upload your first photo" in page
    assert browser.get("/").headers["Location"] == reverse("lesion-list")


def test_the_map_and_the_list_say_the_same(browser: Client, patient: User, monitored: Lesion) -> None:
    create_lesion(owner=patient, name="<b>nape", anatom_site_general="head/neck")
    page = words(browser, "lesion-list")
    assert page.count(f'href="{reverse("lesion", args=[monitored.pk])}"') == 3  # dot, picture, name
    assert "<title>1. left arm: Photograph it again by" in page
    assert "Day 0 to Day 93" in page and "2 photos" in page
    assert escape("<b>nape") in page and "<b>nape" not in page
    assert "Put it on the drawing" in page  # the nape has no place yet
    for site in ("site-anterior-torso", "site-head-neck", "site-oral-genital"):
        assert f'id="{site}"' in page and f'href="#{site}"' in page


def test_a_reminder_and_what_is_known_stand_on_the_card(browser: Client, clinician: User, monitored: Lesion) -> None:
    Reminder.objects.create(lesion=monitored, months=3, due="2030-05-31")
    assert "Reminder on 31 May 2030" in words(browser, "lesion-list")
    newest = monitored.photos.order_by("-created").first()
    assert newest is not None
    record_finding(photo=newest, by=clinician, diagnosis="MEL", source="histopathology")
    page = words(browser, "lesion-list")
    assert "This needs a doctor" in page
    assert "Photograph it again" not in page


def test_the_overview_takes_as_many_queries_for_many_spots_as_for_few(
    browser: Client, patient: User, make_photo: MakePhoto, measure: MakePhoto
) -> None:
    counts = []
    for number in range(4):
        lesion = create_lesion(owner=patient, name=f"spot {number}", place=BodyPlace.of_region("front-trunk"))
        for _ in range(2):
            measure(make_photo(patient, lesion=lesion), 0.02)
        make_photo(patient)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            words(browser, "lesion-list")
        counts.append(len(queries))
    assert counts[1] == counts[3]


def test_dots_do_not_hide_each_other(patient: User) -> None:
    for number in range(8):
        create_lesion(owner=patient, name=f"spot {number}", place=BodyPlace.of_region("back-trunk"))
    dots = next(drawing.dots for drawing in drawings(spots_of(patient)) if drawing.view == "back")
    assert len(dots) == 8
    apart = [((a.x - b.x) ** 2 + (a.y - b.y) ** 2) ** 0.5 for a in dots for b in dots if a is not b]
    assert min(apart) >= DOT_DISTANCE - 0.2


def test_nobody_elses_spots_are_in_ones_overview(browser: Client, other_patient: User, make_photo: MakePhoto) -> None:
    create_lesion(owner=other_patient, name="secret place")
    loose = make_photo(other_patient)
    page = words(browser, "lesion-list")
    assert "secret place" not in page and str(loose.pk) not in page


# --- One spot


def test_a_spot_shows_its_photos_with_days(browser: Client, monitored: Lesion) -> None:
    page = words(browser, "lesion", monitored.pk)
    assert page.index("Day 93") < page.rindex("Day 0")
    assert "Photograph it again by" in page
    assert "In 3 months" in page and "In 12 months" in page
    assert reverse("lesion-compare", args=[monitored.pk]) in page


def test_a_clinician_reads_and_is_recorded_but_changes_nothing(
    monitored: Lesion, clinician: User, sign_in: SignIn
) -> None:
    client = sign_in(clinician)
    page = words(client, "lesion", monitored.pk)
    assert "Day 93" in page
    assert AuditEntry.objects.filter(subject=f"lesion:{monitored.pk}", actor=str(clinician.pk)).count() == 1
    for forbidden in ("Delete this spot", "In 3 months", "Next photo", "Move the chosen photos"):
        assert forbidden not in page
    for name in ("lesion-edit", "lesion-delete"):
        assert client.get(reverse(name, args=[monitored.pk])).status_code == 403
    for name in ("lesion-edit", "lesion-delete", "lesion-reminder"):
        post = client.post(reverse(name, args=[monitored.pk]), {"name": "mine", "months": "3"})
        assert post.status_code == 403, name
    monitored.refresh_from_db()
    assert monitored.name == "left arm"
    assert not Reminder.objects.exists()


def test_another_patient_finds_nothing(monitored: Lesion, other_patient: User, sign_in: SignIn) -> None:
    client = sign_in(other_patient)
    for name in ("lesion", "lesion-compare", "lesion-edit", "lesion-delete"):
        assert client.get(reverse(name, args=[monitored.pk])).status_code == 404, name
    for name in ("lesion-edit", "lesion-delete", "lesion-reminder"):
        assert client.post(reverse(name, args=[monitored.pk]), {"name": "x"}).status_code == 404, name
    assert Lesion.objects.filter(pk=monitored.pk).exists()


def test_a_changing_spot_gets_no_reminder_but_the_advice(browser: Client, patient: User, monitored: Lesion) -> None:
    newest = monitored.photos.order_by("-created").first()
    assert newest is not None
    record_history(photo=newest, by=patient, answers=HistoryAnswers(change_shape=True))
    page = words(browser, "lesion", monitored.pk)
    assert "In 3 months" not in page
    assert "should be seen by a doctor" in page
    assert "Said to be changing" in page
    answer = browser.post(reverse("lesion-reminder", args=[monitored.pk]), {"months": "3"}, follow=True)
    assert "another photo is no reason to wait" in answer.content.decode()
    assert not Reminder.objects.exists()


def test_reminders_by_form(browser: Client, monitored: Lesion) -> None:
    url = reverse("lesion-reminder", args=[monitored.pk])
    assert "You will be reminded on" in browser.post(url, {"months": "6"}, follow=True).content.decode()
    assert Reminder.objects.standing().get().months == 6
    assert "Choose when" in browser.post(url, {"months": "5"}, follow=True).content.decode()
    assert "not be reminded" in browser.post(url, {"months": "off"}, follow=True).content.decode()
    assert not Reminder.objects.standing().exists()


# --- New, changed, deleted


def test_a_spot_is_placed_without_javascript(browser: Client, patient: User) -> None:
    assert 'value="region:back-trunk" selected' in words(browser, "lesion-new", region="back-trunk")
    assert 'value="site:head/neck" selected' in words(browser, "lesion-new", site="head/neck")
    assert "selected" not in words(browser, "lesion-new", region="moon").partition("region:")[2]
    answer = browser.post(reverse("lesion-new"), {"name": "mole", "place": "region:back-trunk"})
    lesion = Lesion.objects.get()
    assert answer.headers["Location"] == reverse("lesion", args=[lesion.pk])
    middle = BodyPlace.of_region("back-trunk")
    assert (lesion.body_view, lesion.body_x, lesion.body_y) == ("back", middle.x, middle.y)
    assert lesion.anatom_site_general == "posterior torso"


def test_pointing_places_exactly_unless_the_list_says_otherwise(browser: Client, patient: User) -> None:
    exact = {"body_view": "back", "body_x": "0.5512", "body_y": "0.25"}
    browser.post(reverse("lesion-new"), {"name": "a", "place": "region:back-trunk", **exact})
    browser.post(reverse("lesion-new"), {"name": "b", "place": "region:back-head", **exact})
    browser.post(reverse("lesion-new"), {"name": "c", "place": "site:head/neck", **exact})
    browser.post(reverse("lesion-new"), {"name": "d", **exact})
    placed = {lesion.name: (lesion.body_x, lesion.anatom_site_general) for lesion in Lesion.objects.all()}
    assert placed == {
        "a": (0.5512, "posterior torso"),
        "b": (0.5, "head/neck"),
        "c": (None, "head/neck"),
        "d": (None, ""),
    }


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""}, {"name": "x" * 101}, {"name": "ok", "place": "region:moon"}, {"name": "ok", "place": "site:moon"},
        {"name": "ok", "body_x": "2"}, {"name": "ok", "body_x": "nan", "place": "region:back-trunk"},
        {"name": "Left Arm"},
    ],
)  # fmt: skip
def test_a_wrong_answer_keeps_what_was_typed(browser: Client, monitored: Lesion, given: dict[str, str]) -> None:
    response = browser.post(reverse("lesion-new"), {"name": "", **given})
    assert response.status_code == 422
    assert f'value="{given["name"]}"' in response.content.decode() or not given["name"]
    assert Lesion.objects.count() == 1


def test_name_and_place_are_changed(browser: Client, patient: User, monitored: Lesion) -> None:
    create_lesion(owner=patient, name="leg")
    url = reverse("lesion-edit", args=[monitored.pk])
    page = browser.get(url).content.decode()
    assert 'value="region:front-left-arm" selected' in page
    taken = browser.post(url, {"name": "LEG", "place": "region:front-left-arm"})
    assert taken.status_code == 422
    assert "has this name" in taken.content.decode()
    assert browser.post(url, {"name": "arm", "place": ""}).status_code == 302
    monitored.refresh_from_db()
    assert (monitored.name, monitored.body_view, monitored.anatom_site_general) == ("arm", "", "")


def test_deleting_asks_first_and_says_what_goes(browser: Client, monitored: Lesion) -> None:
    url = reverse("lesion-delete", args=[monitored.pk])
    assert "2 photos go" in browser.get(url).content.decode()
    assert Lesion.objects.exists()
    assert "its 2 photos have been deleted" in browser.post(url, follow=True).content.decode()
    assert not Lesion.objects.exists() and not Photo.objects.exists()


# --- Photos between spots


def test_photos_without_a_spot_are_put_into_one(browser: Client, patient: User, make_photo: MakePhoto) -> None:
    photos = [make_photo(patient, anatom_site_general="head/neck") for _ in range(2)]
    assert "Photos without a spot" in words(browser, "lesion-list")
    url = reverse("photos-move")
    chosen = [str(photo.pk) for photo in photos]
    nameless = browser.post(url, {"photos": chosen, "to": "new"})
    assert nameless.status_code == 422
    assert "Give the new spot a name" in nameless.content.decode()
    answer = browser.post(url, {"photos": chosen, "to": "new", "name": "nape"})
    lesion = Lesion.objects.get()
    assert answer.headers["Location"] == reverse("lesion", args=[lesion.pk])
    assert (lesion.name, lesion.anatom_site_general, lesion.photos.count()) == ("nape", "head/neck", 2)
    assert "Photos without a spot" not in words(browser, "lesion-list")


def test_a_photo_is_taken_out_of_a_spot_again(browser: Client, patient: User, monitored: Lesion) -> None:
    photo = monitored.photos.first()
    assert photo is not None
    url = reverse("photos-move")
    browser.post(url, {"photos": [photo.pk], "to": "none", "from": monitored.pk})
    assert Photo.objects.get(pk=photo.pk).lesion is None
    nothing = browser.post(url, {"to": "none", "from": monitored.pk})
    assert nothing.status_code == 422
    assert "Choose at least one photo" in nothing.content.decode()


def test_somebody_elses_photos_and_spots_are_no_choice(
    browser: Client, other_patient: User, make_photo: MakePhoto, monitored: Lesion
) -> None:
    foreign = create_lesion(owner=other_patient, name="secret place")
    theirs = make_photo(other_patient, lesion=foreign)
    mine = monitored.photos.first()
    assert mine is not None
    url = reverse("photos-move")
    for data in (
        {"photos": [theirs.pk], "to": str(monitored.pk)},
        {"photos": [mine.pk], "to": str(foreign.pk)},
        {"photos": [uuid.uuid4()], "to": str(monitored.pk)},
        {"photos": ["x"], "to": str(monitored.pk)},
    ):
        response = browser.post(url, data)
        assert response.status_code == 422
        assert "secret place" not in response.content.decode()
    assert foreign.photos.get() == theirs
    assert monitored.photos.count() == 2


# --- Comparing


def test_first_and_newest_are_compared_unless_the_address_says_otherwise(
    browser: Client, patient: User, monitored: Lesion, make_photo: MakePhoto
) -> None:
    middle = make_photo(patient, lesion=monitored, created=timezone.now() - timedelta(days=40))
    first, last = monitored.photos.order_by("created").first(), monitored.photos.order_by("created").last()
    assert first is not None and last is not None
    page = words(browser, "lesion-compare", monitored.pk)
    assert reverse("photo-image", args=[first.pk]) in page
    assert reverse("photo-image", args=[last.pk]) in page
    assert reverse("photo-image", args=[middle.pk]) not in page
    chosen = words(browser, "lesion-compare", monitored.pk, before=str(middle.pk), after="nonsense")
    assert reverse("photo-image", args=[middle.pk]) in chosen
    assert reverse("photo-image", args=[last.pk]) in chosen
    assert "Day 53" in chosen


def test_one_photo_is_nothing_to_compare(browser: Client, patient: User, make_photo: MakePhoto) -> None:
    lesion = create_lesion(owner=patient, name="one")
    make_photo(patient, lesion=lesion)
    assert "Two photos of a spot are needed" in words(browser, "lesion-compare", lesion.pk)


def test_only_photos_of_the_spot_are_compared(
    browser: Client, patient: User, other_patient: User, monitored: Lesion, make_photo: MakePhoto
) -> None:
    elsewhere, theirs = make_photo(patient), make_photo(other_patient)
    page = words(browser, "lesion-compare", monitored.pk, before=str(elsewhere.pk), after=str(theirs.pk))
    for photo in (elsewhere, theirs):
        assert reverse("photo-image", args=[photo.pk]) not in page


# --- History


def test_the_history_is_told_by_form_and_told_again(browser: Client, patient: User, make_photo: MakePhoto) -> None:
    photo = make_photo(patient)
    url = reverse("photo-history", args=[photo.pk])
    assert "Has its colour changed?" in browser.get(url).content.decode()
    empty = browser.post(url, {})
    assert empty.status_code == 422
    assert "at least one" in empty.content.decode()
    wrong = browser.post(url, {"itch": "maybe", "note": "burnt there once"})
    assert wrong.status_code == 422
    assert "burnt there once" in wrong.content.decode()
    given = {"itch": "yes", "change_size": "no", "raised": "unknown", "pain": "yes", "duration": "months", "note": "n"}
    answer = browser.post(url, given)
    assert answer.headers["Location"] == reverse("photo", args=[photo.pk])
    told = PhotoHistory.objects.get()
    assert (told.itch, told.change_size, told.raised, told.duration, told.note) == (True, False, None, "months", "n")
    assert told.pain is True
    # The form shows what was said; the skipped questions are as "I do not know".
    form = HistoryForm.of(told)
    assert [form[name].value() for name in ("itch", "change_size", "bleeding")] == ["yes", "no", "unknown"]
    again = browser.get(url).content.decode()
    assert re.search(r'name="itch" value="yes"[^>]*checked', again) and "n</textarea>" in again
    assert browser.post(url, {"itch": "no"}).status_code == 302
    assert (Photo.objects.get().history or told).itch is False and PhotoHistory.objects.count() == 2


def test_answers_after_the_result_change_it_and_the_page_says_so(
    browser: Client, patient: User, make_photo: MakePhoto, measure: MakePhoto
) -> None:
    photo = measure(make_photo(patient), 0.2, dermoscopic=0.02)
    assert "Besides the picture" not in words(browser, "photo", photo.pk)
    browser.post(reverse("photo-history", args=[photo.pk]), {"change_size": "yes", "pain": "no"})
    page = words(browser, "photo", photo.pk)
    assert "Besides the picture, this counted: answers about the spot." in page
    assert "The picture alone" in page and "With what was told" in page


def test_photos_of_one_day_together_stand_beside_each_and_may_raise_the_advice(
    browser: Client, patient: User, clinician: User, make_photo: MakePhoto, measure: MakePhoto
) -> None:
    lesion = create_lesion(owner=patient, name="arm")
    for melanoma in (0.9, 0.25):
        photo = measure(make_photo(patient, lesion=lesion, image_type=DERMOSCOPIC), melanoma)
    assert photo.decision == "monitor"
    page = words(browser, "lesion", lesion.pk)
    assert "2 photos of this day together" in page and "Melanoma, 63\xa0%" in page
    assert '<h2 class="spot-page__advice" id="advice-title">See a doctor within days</h2>' in page
    assert "Together they make the advice more urgent" in page
    # No reminder invites to wait, and the list says the same as the page.
    assert "In 3 months" not in page
    assert "See a doctor within days" in words(browser, "lesion-list")
    record_finding(photo=photo, by=clinician, diagnosis="NV", source="histopathology")
    assert "See a doctor within days" not in words(browser, "lesion-list")


def test_photos_of_one_day_together_never_lower_the_advice(
    browser: Client, patient: User, make_photo: MakePhoto, measure: MakePhoto
) -> None:
    lesion = create_lesion(owner=patient, name="arm")
    for melanoma in (0.02, 0.9):
        measure(make_photo(patient, lesion=lesion, image_type=DERMOSCOPIC), melanoma)
    page = words(browser, "lesion", lesion.pk)
    assert "See a doctor within days</h2>" in page
    assert "They do not change the advice" in page


def test_a_question_that_is_skipped_is_not_shown_as_answered(browser: Client, patient: User) -> None:
    page = browser.get(reverse("photo-new")).content.decode()
    assert re.search(r'name="itch" value="yes"', page) and 'name="pain"' in page
    assert not re.search(r'name="(itch|pain|bleeding)" value="\w+"[^>]*checked', page)


def test_nobody_else_tells_a_history(
    patient: User, other_patient: User, clinician: User, make_photo: MakePhoto, sign_in: SignIn
) -> None:
    url = reverse("photo-history", args=[make_photo(patient).pk])
    assert sign_in(other_patient).post(url, {"itch": "yes"}).status_code == 404
    assert sign_in(clinician).post(url, {"itch": "yes"}).status_code == 403
    assert Client().post(url, {"itch": "yes"}).status_code == 302
    assert not PhotoHistory.objects.exists()


# --- On the page of a photo


def test_under_a_result_a_reminder_is_offered_where_one_may_wait(
    browser: Client, patient: User, clinician: User, monitored: Lesion, sign_in: SignIn
) -> None:
    newest = monitored.photos.order_by("-created").first()
    assert newest is not None
    assert "In 3 months" in words(browser, "photo", newest.pk)
    assert "In 3 months" not in words(sign_in(clinician), "photo", newest.pk)
    record_history(photo=newest, by=patient, answers=HistoryAnswers(raised=True))
    page = words(browser, "photo", newest.pk)
    assert "In 3 months" not in page
    assert "what you say of the spot does not" in page


def test_the_result_shows_what_was_said_and_its_score(
    browser: Client, patient: User, clinician: User, make_photo: MakePhoto, sign_in: SignIn
) -> None:
    photo = make_photo(patient)
    asked = words(browser, "photo", photo.pk)
    assert reverse("photo-history", args=[photo.pk]) in asked
    assert reverse("photo-history", args=[photo.pk]) not in words(sign_in(clinician), "photo", photo.pk)
    answers = HistoryAnswers(change_size=True, itch=True, bleeding=False, note="<i>since July")
    record_history(photo=photo, by=patient, answers=answers)
    for client in (browser, sign_in(clinician)):
        page = words(client, "photo", photo.pk)
        assert "7-point checklist: 3 of 10" in page
        assert "2 points" in page and "1 point<" in page
        assert escape("<i>since July") in page and "<i>since July" not in page
        assert (reverse("photo-history", args=[photo.pk]) in page) is (client is browser)
    assert "What the patient says of the spot" in words(sign_in(clinician), "photo", photo.pk)
