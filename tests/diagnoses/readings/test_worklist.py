"""The photo list and the worklist: their photos, order and number of queries."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from diagnoses.lesions.services import create_lesion
from diagnoses.paging import PAGE_SIZE
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.models import Photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.services import begin_reading, record_blind, record_final
from diagnoses.readings.views import worklist

SignIn = Callable[[User], Client]
MakePhoto = Callable[..., Photo]
REVIEW = "/review/"
MINE = "/photos/"

pytestmark = pytest.mark.django_db


def shown(response: object) -> list[Photo]:
    return list(response.context["page"])  # type: ignore[attr-defined]  # a response of the test client


def test_patients_see_their_own_newest_first(
    patient: User, other_patient: User, make_photo: MakePhoto, sign_in: SignIn
) -> None:
    now = timezone.now()
    old = make_photo(patient, created=now - timedelta(days=2))
    new = make_photo(patient, created=now)
    foreign = make_photo(other_patient)
    response = sign_in(patient).get(MINE)
    assert shown(response) == [new, old]
    assert str(foreign.pk) not in response.content.decode()


def test_clinicians_own_list_holds_only_their_own(
    clinician: User, patient: User, make_photo: MakePhoto, sign_in: SignIn
) -> None:
    make_photo(patient)
    assert shown(sign_in(clinician).get(MINE)) == []


def test_an_empty_history_says_how_to_begin(patient: User, sign_in: SignIn) -> None:
    assert "Upload your first photo" in sign_in(patient).get(MINE).content.decode()


@pytest.mark.parametrize("who", ["patient", "other_patient"])
def test_the_review_list_does_not_exist_for_patients(who: str, request: pytest.FixtureRequest, sign_in: SignIn) -> None:
    assert sign_in(request.getfixturevalue(who)).get(REVIEW).status_code == 404


@pytest.mark.parametrize("address", [MINE, REVIEW])
def test_strangers_are_sent_to_sign_in(address: str, client: Client) -> None:
    response = client.get(address + "?status=failed")
    assert response.headers["Location"] == f"{reverse('account_login')}?next={address}%3Fstatus%3Dfailed"


def test_a_deactivated_clinician_sees_nothing(deactivated: User, sign_in: SignIn) -> None:
    assert sign_in(deactivated).get(REVIEW).status_code == 302


def test_paging_through_the_history(patient: User, make_photo: MakePhoto, sign_in: SignIn) -> None:
    now = timezone.now()
    made = [make_photo(patient, created=now - timedelta(minutes=n)) for n in range(PAGE_SIZE + 3)]
    client = sign_in(patient)
    first = client.get(MINE)
    assert shown(first) == made[:PAGE_SIZE]
    assert 'rel="prev"' not in first.content.decode()
    second = client.get(MINE, {"cursor": first.context["page"].older})
    assert shown(second) == made[PAGE_SIZE:]
    assert 'rel="next"' not in second.content.decode()
    assert shown(client.get(MINE, {"cursor": second.context["page"].newer})) == made[:PAGE_SIZE]


@pytest.fixture
def population(
    patient: User,
    other_patient: User,
    clinician: User,
    make_photo: MakePhoto,
    predict: Callable[..., Photo],
) -> dict[str, Photo]:
    """One photo for each filter."""
    now = timezone.now()
    photos = {
        "waiting": make_photo(patient, created=now - timedelta(days=1)),
        "mole": make_photo(patient, created=now - timedelta(days=2), anatom_site_general="head/neck"),
        "melanoma": make_photo(other_patient, created=now - timedelta(days=3)),
        "failed": make_photo(patient, created=now - timedelta(days=40), status="failed", failure_code="worker_lost"),
    }
    predict(photos["mole"], probabilities=[0.1, 0.5, 0.05, 0.15, 0.05, 0.05, 0.05, 0.05])
    predict(photos["melanoma"], probabilities=[0.9, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01])
    record_finding(photo=photos["melanoma"], by=clinician, diagnosis="MEL", source="histopathology")
    return photos


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["waiting", "mole", "melanoma", "failed"]),
        ("sort=riskiest", ["melanoma", "mole"]),
        ("sort=unsure", ["mole", "melanoma"]),
        ("sort=nonsense&status=gone", ["waiting", "mole", "melanoma", "failed"]),
        ("state=read", ["melanoma"]),
        ("state=unread&sort=newest", ["waiting", "mole", "failed"]),
        ("state=second", []),
        ("finding=histopathology", ["melanoma"]),
        ("status=predicted", ["mole", "melanoma"]),
        ("status=failed", ["failed"]),
        ("diagnosis=NV", ["mole"]),
        ("site=head/neck", ["mole"]),
        ("finding=yes", ["melanoma"]),
        ("finding=no", ["waiting", "mole", "failed"]),
        ("patient=PATIENT.B", ["melanoma"]),
        ("patient=%25", []),
        ("patient=%00", ["waiting", "mole", "melanoma", "failed"]),
        ("diagnosis=NV&finding=yes", []),
        ("since=1999-01-01", ["waiting", "mole", "melanoma", "failed"]),
        ("until=9999-12-31", ["waiting", "mole", "melanoma", "failed"]),
        ("until=0001-01-01", ["waiting", "mole", "melanoma", "failed"]),
        ("since=yesterday", ["waiting", "mole", "melanoma", "failed"]),
    ],
)
def test_filters_and_sorts(
    query: str, names: list[str], population: dict[str, Photo], clinician: User, sign_in: SignIn
) -> None:
    query = query if "state=" in query else f"state=all&{query}"
    response = sign_in(clinician).get(f"{REVIEW}?{query}")
    assert response.status_code == 200
    if "sort=riskiest" in query or "sort=unsure" in query:
        # Those without a score come last, in any order.
        assert shown(response)[: len(names)] == [population[name] for name in names]
        assert set(shown(response)) == set(population.values())
    else:
        assert shown(response) == [population[name] for name in names]


def test_days_are_days_of_the_clinic(population: dict[str, Photo], clinician: User, sign_in: SignIn) -> None:
    day = timezone.localtime(population["mole"].created).date().isoformat()
    client = sign_in(clinician)
    assert shown(client.get(REVIEW, {"state": "all", "since": day, "until": day})) == [population["mole"]]
    upside_down = client.get(REVIEW, {"since": "2026-02-01", "until": "2026-01-01"})
    assert "The end lies before the beginning." in upside_down.content.decode()


def test_the_filter_stays_while_paging(patient: User, clinician: User, make_photo: MakePhoto, sign_in: SignIn) -> None:
    for _ in range(PAGE_SIZE + 1):
        make_photo(patient)
    html = sign_in(clinician).get(REVIEW, {"status": "queued", "sort": "riskiest"}).content.decode()
    link = html.split('rel="next" href="')[1].split('"')[0]
    assert "status=queued" in link
    assert "sort=riskiest" in link
    assert "cursor=" in link


def test_names_are_escaped_in_the_list(clinician: User, make_photo: MakePhoto, sign_in: SignIn) -> None:
    rude = User.objects.create_user("rude@example.org", name="<script>alert(1)</script>")
    make_photo(rude, lesion=create_lesion(owner=rude, name="<img src=x>"))
    html = sign_in(clinician).get(REVIEW, {"patient": '"><script>'}).content.decode()
    assert '"><script>' not in html
    html = sign_in(clinician).get(REVIEW).content.decode()
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;alert" in html


ADDRESSES = [MINE, REVIEW, REVIEW + "?state=all", REVIEW + "?state=all&sort=riskiest&finding=no&patient=example"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_list_costs_the_same_with_five_and_with_fifty(
    address: str,
    clinician: User,
    patient: User,
    administrator: User,
    make_photo: MakePhoto,
    predict: Callable[..., Photo],
    sign_in: SignIn,
) -> None:
    client = sign_in(clinician)
    owner = clinician if address == MINE else patient

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    def add(count: int) -> None:
        for number in range(count):
            lesion = create_lesion(owner=owner, name=f"spot {number}")
            photo = predict(make_photo(owner, lesion=lesion))
            record_history(photo=photo, by=owner, answers=HistoryAnswers(itch=True))
            if number % 2 and address != MINE:
                begun = begin_reading(photo=photo, by=administrator)
                record_blind(reading=begun, by=administrator, answer="diagnosis", diagnosis="NV")
                record_final(
                    reading=begun, by=administrator, answer="diagnosis", diagnosis="NV", management="refer",
                    override_reason="looks so",
                )  # fmt: skip

    add(6)
    few = queries()
    add(44)
    # Fewer where nothing has to be prefetched; never more.
    assert queries() <= few


class TestWorklist:
    """The photos that one reader may read now, most urgent first, without information that would unblind them."""

    def predicted(
        self, owner: User, make_photo: MakePhoto, predict: Callable[..., Photo], decision: str, top: float
    ) -> Photo:
        photo = predict(make_photo(owner), probabilities=[0.0, top, 1 - top, 0.0, 0.0, 0.0, 0.0, 0.0])
        Photo.objects.filter(pk=photo.pk).update(decision=decision)
        return Photo.objects.get(pk=photo.pk)

    def test_it_is_sorted_by_urgency_then_uncertainty_then_age(
        self, patient: User, clinician: User, make_photo: MakePhoto, predict: Callable[..., Photo], sign_in: SignIn
    ) -> None:
        def made(decision: str, top: float) -> Photo:
            return self.predicted(patient, make_photo, predict, decision, top)

        calm, sure, unsure, old, late = (
            made("monitor", 0.9), made("urgent", 0.9), made("urgent", 0.6), made("soon", 0.7), made("soon", 0.7),
        )  # fmt: skip
        Photo.objects.filter(pk=old.pk).update(created=timezone.now() - timedelta(days=3))
        waiting = make_photo(patient)
        assert shown(sign_in(clinician).get(REVIEW)) == [unsure, sure, old, late, waiting, calm]

    def test_it_holds_only_what_this_person_may_read(
        self,
        patient: User,
        clinician: User,
        administrator: User,
        make_photo: MakePhoto,
        predict: Callable[..., Photo],
        sign_in: SignIn,
    ) -> None:
        make_photo(clinician)  # nobody reads their own
        read = predict(make_photo(patient))
        unread = make_photo(patient)
        begun = begin_reading(photo=read, by=administrator)
        record_blind(reading=begun, by=administrator, answer="diagnosis", diagnosis="MEL")
        record_final(reading=begun, by=administrator, answer="diagnosis", diagnosis="MEL", management="refer")
        assert Photo.objects.get(pk=read.pk).review_state == "second"
        assert set(shown(sign_in(clinician).get(REVIEW))) == {read, unread}
        assert set(shown(sign_in(administrator).get(REVIEW))) == {unread} | set(Photo.objects.filter(owner=clinician))

    def test_a_row_hides_the_prediction_until_it_was_read(
        self, patient: User, clinician: User, make_photo: MakePhoto, predict: Callable[..., Photo], sign_in: SignIn
    ) -> None:
        photo = predict(make_photo(patient), probabilities=[0.66, 0.1, 0.04, 0.04, 0.04, 0.04, 0.04, 0.04])
        client = sign_in(clinician)

        def rows() -> str:
            html = client.get(REVIEW + "?state=all").content.decode()
            return html[html.index('<ol class="work"') : html.index("</ol>")]

        assert "work__hidden" in rows()
        for trace in ("Melanoma", "66", "MEL"):
            assert trace not in rows().replace(str(photo.pk), "")
        begun = begin_reading(photo=photo, by=clinician)
        record_blind(reading=begun, by=clinician, answer="diagnosis", diagnosis="NV")
        assert "work__hidden" in rows()
        record_final(
            reading=begun, by=clinician, answer="diagnosis", diagnosis="NV", management="refer", override_reason="x"
        )
        assert "Melanoma, 66\xa0%" in rows()
        assert "Melanocytic nevus" in rows()

    @pytest.mark.parametrize(("state", "is_hidden"), [("second", True), ("adjudication", True), ("read", False)])
    def test_a_row_hides_the_prediction_from_everybody_who_may_still_read_it(
        self,
        state: str,
        is_hidden: bool,
        patient: User,
        clinician: User,
        make_photo: MakePhoto,
        predict: Callable[..., Photo],
        sign_in: SignIn,
    ) -> None:
        predict(make_photo(patient, review_state=state), probabilities=[0.66, 0.1, *[0.04] * 6])
        html = sign_in(clinician).get(REVIEW + "?state=all").content.decode()
        rows = html[html.index('<ol class="work"') : html.index("</ol>")]
        assert ("work__hidden" in rows, "Melanoma" not in rows) == (is_hidden, is_hidden)

    def test_the_queues_are_counted(
        self, patient: User, clinician: User, make_photo: MakePhoto, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for state in ("unread", "unread", "unread", "second", "adjudication", "read"):
            make_photo(patient, review_state=state)
        monkeypatch.setattr(worklist, "COUNTED", 3)
        context = sign_in(clinician).get(REVIEW).context
        lengths = {view["query"]: view["length"] for view in context["quick_views"]}
        assert lengths["state=unread"] == 3
        assert (lengths["state=second"], lengths["state=adjudication"], lengths[""]) == (1, 1, None)

    def test_who_read_it_and_whether_they_agree(
        self,
        patient: User,
        clinician: User,
        administrator: User,
        make_photo: MakePhoto,
        predict: Callable[..., Photo],
        sign_in: SignIn,
    ) -> None:
        same, other = predict(make_photo(patient)), predict(make_photo(patient))  # both a melanoma
        for photo, code in ((same, "MEL"), (other, "NV")):
            begun = begin_reading(photo=photo, by=administrator)
            record_blind(reading=begun, by=administrator, answer="diagnosis", diagnosis=code)
            record_final(
                reading=begun, by=administrator, answer="diagnosis", diagnosis=code, management="refer",
                override_reason="x",
            )  # fmt: skip
        client = sign_in(clinician)
        assert shown(client.get(REVIEW, {"state": "all", "disagreement": "yes"})) == [other]
        assert shown(client.get(REVIEW, {"state": "all", "disagreement": "no"})) == [same]
        assert set(shown(client.get(REVIEW, {"state": "all", "reader": str(administrator.pk)}))) == {same, other}
        assert shown(client.get(REVIEW, {"state": "all", "reader": str(clinician.pk)})) == []
        assert set(shown(client.get(REVIEW, {"state": "all", "reader": str(patient.pk)}))) == {same, other}  # no reader

    def test_what_patients_asked_for(
        self, patient: User, clinician: User, make_photo: MakePhoto, sign_in: SignIn
    ) -> None:
        asked = make_photo(patient, review_requested=timezone.now())
        make_photo(patient)
        make_photo(patient, review_requested=timezone.now(), review_state="read")
        assert shown(sign_in(clinician).get(REVIEW, {"state": "requested"})) == [asked]

    def test_the_next_photo(self, patient: User, clinician: User, make_photo: MakePhoto, sign_in: SignIn) -> None:
        now = timezone.now()
        first, second = (make_photo(patient, created=now - timedelta(days=days)) for days in (2, 1))
        client = sign_in(clinician)
        assert client.get("/review/next/").headers["Location"] == f"/review/{first.pk}/"
        assert client.get(f"/review/next/?not={first.pk}").headers["Location"] == f"/review/{second.pk}/"
        Photo.objects.update(review_state="read")
        assert client.get("/review/next/").headers["Location"] == REVIEW

    def test_it_is_walked_page_by_page_over_all_three_queues(
        self, patient: User, clinician: User, make_photo: MakePhoto, sign_in: SignIn
    ) -> None:
        now = timezone.now()
        states = ("unread", "second", "adjudication")
        made = [
            make_photo(patient, created=now + timedelta(minutes=number), review_state=states[number % 3])
            for number in range(PAGE_SIZE * 2 + 1)
        ]
        client = sign_in(clinician)
        first = client.get(REVIEW)
        second = client.get(REVIEW, {"cursor": first.context["page"].older})
        third = client.get(REVIEW, {"cursor": second.context["page"].older})
        assert shown(first) + shown(second) + shown(third) == made
        assert shown(client.get(REVIEW, {"cursor": third.context["page"].newer})) == shown(second)
