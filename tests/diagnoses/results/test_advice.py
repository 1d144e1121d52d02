"""The result for each kind of reader: advice first, then the answer, then the sealed figures."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.labels import DECISION_MEANINGS, DECISION_NAMES, GATE_NAMES, GATE_REASONS, SAFETY_NET
from diagnoses.lesions.services import create_lesion
from diagnoses.photos.models import KnownImage, Photo, PhotoHistory
from diagnoses.readings.findings import record_finding
from diagnoses.results.advice import advice_on
from diagnoses.templatetags.words import significant
from recognition.inference.assessment import CODES_OF, REFUSING, Assessment, Decision, Gate, GateResult
from recognition.inference.case_mix import HAM10000
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, Diagnosis
from tests.diagnoses.assessments import retell

SignIn = Callable[[User], Client]
MakePhoto = Callable[..., Photo]
Predict = Callable[..., Photo]
Assess = Callable[..., Assessment]
HTMX = {"hx-request": "true"}

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]

NEVUS = [0.1, 0.7, 0.05, 0.03, 0.05, 0.03, 0.03, 0.01]
INTERVAL = {"value": 0.91, "low": 0.87, "high": 0.94}
MANIFEST: dict[str, Any] = {
    "assessment": {
        "decision": {"soon": {"threshold": 0.21}, "urgent": {"threshold": 0.55}},
        "score": [
            {"score": 1, "pictures": 500, "malignant": 5, "share": 0.01, "low": 0.004, "high": 0.02},
            {"score": 4, "pictures": 300, "malignant": 36, "share": 0.12, "low": 0.08, "high": 0.17},
            {"score": 9, "pictures": 0, "malignant": 0, "share": 0.0, "low": 0.0, "high": 1.0},
        ],
        "conformal": {"coverage": 0.9, "test_coverage": 0.893},
    },
    "metrics": {
        "decision": {
            "soon": {
                "sensitivity": INTERVAL,
                "melanoma_sensitivity": {"value": 0.88, "low": 0.82, "high": 0.92},
                "specificity": {"value": 0.6, "low": 0.57, "high": 0.63},
            }
        }
    },
}


@pytest.fixture
def manifest(classifier_row: Classifier) -> None:
    Classifier.objects.filter(pk=classifier_row.pk).update(manifest=MANIFEST)


def page(client: Client, photo: Photo) -> str:
    response = client.get(reverse("photo", args=[photo.pk]))
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def body(html: str) -> str:
    """What is between header and footer, as text."""
    main = html.split("<main", 1)[1].split("</main>", 1)[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main))


# --- The four states


STATES = {
    "urgent": "See a doctor within days",
    "soon": "Have a doctor look at it soon",
    "monitor": "Photograph it again by",
    "not_assessed": "This photo could not be assessed",
}


@pytest.mark.parametrize("decision", list(Decision))
@pytest.mark.parametrize("who", ["patient", "clinician"])
def test_the_advice_comes_first_and_never_says_all_is_well(
    who: str,
    decision: Decision,
    request: pytest.FixtureRequest,
    patient: User,
    make_photo: MakePhoto,
    predict: Predict,
    assess: Assess,
    sign_in: SignIn,
) -> None:
    codes = ["blurred"] if decision is Decision.NOT_ASSESSED else []
    photo = predict(make_photo(patient), NEVUS, assessment=assess(decision, *codes))
    html = page(sign_in(request.getfixturevalue(who)), photo)
    assert f"<title>{STATES[decision]}" in html
    heading = html.index(f'<h1 id="state-title" data-announce>{STATES[decision]}')
    assert html.count("<h1") == 1
    for later in ("result__share", "photo__image", '<details class="more"'):
        assert later not in html or html.index(later) > heading
    assert str(SAFETY_NET) in html
    assert not re.search(r"you are fine|nothing to worry|harmless result|all clear", html, re.IGNORECASE)


def test_the_words_exist_for_every_decision_gate_and_reason() -> None:
    assert set(DECISION_NAMES) == set(DECISION_MEANINGS) == set(Decision)
    assert set(GATE_NAMES) == set(CODES_OF)
    assert set(GATE_REASONS) == {code for codes in CODES_OF.values() for code in codes}


def test_the_date_counts_from_the_photo_not_from_its_analysis(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    taken = timezone.now() - timedelta(days=20)
    photo = predict(make_photo(patient, created=taken), NEVUS, assessment=assess("monitor", monitor_days=90))
    day = timezone.localdate(taken) + timedelta(days=90)
    html = page(sign_in(patient), photo)
    assert f"Photograph it again by {date_format(day, 'j F Y')}</h1>" in html
    assert "That is no all-clear" in html


def test_when_the_day_has_passed_it_is_time(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    lesion = create_lesion(owner=patient, name="nape")
    old = make_photo(patient, lesion=lesion, created=datetime(2026, 1, 2, tzinfo=UTC))
    html = page(sign_in(patient), predict(old, NEVUS, assessment=assess("monitor", monitor_days=30)))
    assert "Time to photograph it again</h1>" in html
    assert f'href="{reverse("photo-new")}?lesion={lesion.pk}"' in html


def test_the_day_itself_has_not_passed(patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess) -> None:
    photo = make_photo(patient, created=timezone.now() - timedelta(days=30))
    predict(photo, NEVUS, assessment=assess("monitor", monitor_days=30))
    photo.refresh_from_db()
    assert photo.assessment is not None
    advice = advice_on(photo, photo.assessment)
    assert advice.photograph_by == timezone.localdate()
    assert not advice.is_due


@pytest.mark.parametrize("code", CODES)
def test_a_cancers_name_is_never_only_watched(
    code: str, patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess
) -> None:
    probabilities = [0.1] * 8
    probabilities[CODES.index(code)] = 0.3
    photo = predict(make_photo(patient), probabilities, assessment=assess("monitor"))
    assert photo.assessment is not None
    to_be_seen = Diagnosis(code).malignant or Diagnosis(code).precursor
    assert ("should be seen by a doctor all the same" in advice_on(photo, photo.assessment).detail) is to_be_seen


@pytest.mark.parametrize(
    ("number", "words"), [(0.073412, "0.0734"), (41.25, "41.2"), (3.0, "3"), (1234567.0, "1230000"), (0.0, "0")]
)
def test_measured_figures_are_short(number: float, words: str) -> None:
    assert significant(number) == words


@pytest.mark.parametrize("decision", ["urgent", "soon"])
@pytest.mark.parametrize("code", CODES)
def test_a_harmless_name_does_not_take_the_advice_back(
    code: str, decision: str, patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess
) -> None:
    probabilities = [0.1] * 8
    probabilities[CODES.index(code)] = 0.3
    photo = predict(make_photo(patient), probabilities, assessment=assess(decision))
    assert photo.assessment is not None
    harmless = not Diagnosis(code).malignant and not Diagnosis(code).precursor
    assert ("although the most likely diagnosis is harmless" in advice_on(photo, photo.assessment).detail) is harmless


@pytest.mark.parametrize("decision", list(Decision))
@pytest.mark.parametrize("code", CODES)
def test_nobody_waits_with_a_cancer_that_is_known(
    code: str,
    decision: Decision,
    patient: User,
    clinician: User,
    make_photo: MakePhoto,
    predict: Predict,
    assess: Assess,
) -> None:
    refused = ["unfamiliar"] if decision is Decision.NOT_ASSESSED else []
    photo = predict(make_photo(patient), NEVUS, assessment=assess(decision.value, *refused))
    assert photo.assessment is not None
    before = advice_on(photo, photo.assessment)
    record_finding(photo=photo, by=clinician, diagnosis=code, source="histopathology")
    photo = Photo.objects.for_display().get(pk=photo.pk)
    assert photo.assessment is not None
    advice = advice_on(photo, photo.assessment)
    if Diagnosis(code).malignant or Diagnosis(code).precursor:
        assert advice.is_strong
        assert advice.photograph_by is None
    else:
        assert advice == before


# --- Could not be assessed


@pytest.mark.parametrize("code", [code for gate in REFUSING for code in CODES_OF[gate]])
def test_a_patient_reads_why_and_what_to_do_and_no_diagnosis(
    code: str, patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    photo = predict(make_photo(patient), NEVUS, assessment=assess("not_assessed", code))
    client = sign_in(patient)
    fragment = client.get(reverse("photo-status", args=[photo.pk]), headers=HTMX).content.decode()
    for html in (page(client, photo), fragment, client.get("/photos/").content.decode()):
        assert not [d.full_name for d in Diagnosis if d.full_name in html]
        assert "70\xa0%" not in html
        assert "heatmap-switch" not in html
        assert "No heatmap" not in html
    text = page(client, photo)
    reason = GATE_REASONS[code]
    assert str(reason.why) in text
    assert str(reason.remedy).replace("'", "&#x27;") in text
    # Of a kind of picture that the classifier does not know, another one would fare no better.
    assert ("Take another photo" in text) is (code != "other_image_type")
    assert ("Please take another photo" in text) is (code != "other_image_type")
    assert "Could not be assessed" in client.get("/photos/").content.decode()


def test_uncertainty_is_no_reason_for_a_refusal(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess
) -> None:
    photo = predict(make_photo(patient), NEVUS, assessment=assess("not_assessed", "blurred", "uncertain"))
    assert photo.assessment is not None
    assert advice_on(photo, photo.assessment).reasons == (GATE_REASONS["blurred"],)


def test_both_reasons_are_given_when_two_gates_refuse(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    photo = predict(make_photo(patient), NEVUS, assessment=assess("not_assessed", "blurred", "unfamiliar"))
    html = page(sign_in(patient), photo)
    assert html.index("The picture is blurred") < html.index("unlike the skin pictures")


def test_a_clinician_reads_the_kept_answer_marked_as_such(
    clinician: User, patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    photo = predict(make_photo(patient), NEVUS, assessment=assess("not_assessed", "too_dark"))
    html = page(sign_in(clinician), photo)
    mark = html.index("The patient does not see what follows")
    assert html.index("The picture is too dark") < mark < html.index("Melanocytic nevus")
    assert "heatmap-switch" in html
    assert "What the picture was checked for" in html
    assert "3.25" in html and "12.5" in html
    assert "Take another photo" not in html


def test_a_refused_answer_stays_hidden_while_the_photo_is_analysed_again(
    patient: User, clinician: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    photo = predict(make_photo(patient), NEVUS, assessment=assess("not_assessed", "blurred"))
    Photo.objects.update(status=Photo.Status.QUEUED)
    assert "Melanocytic nevus" not in page(sign_in(patient), photo)
    assert "the earlier answer stands" in page(sign_in(clinician), photo)
    Photo.objects.update(status=Photo.Status.FAILED, failure_code="worker_lost")
    assert "Melanocytic nevus" not in page(sign_in(patient), photo)


def test_what_the_lesion_is_known_to_be_is_shown_all_the_same(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    known = KnownImage.objects.create(
        dataset="ISIC 2019", image="ISIC_1", diagnosis="VASC", original_sha256="0" * 64, content_hash=b"\0" * 32
    )
    photo = make_photo(patient, recognised_as=known)
    predict(photo, NEVUS, assessment=assess("not_assessed", "blurred"))
    html = page(sign_in(patient), photo)
    assert "Vascular lesion" in html
    assert "answer agrees" not in html and "a different one" not in html
    assert "Melanocytic nevus" not in html


def test_what_a_doctor_found_counts_more_than_the_advice(
    patient: User, clinician: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    photo = predict(make_photo(patient), NEVUS, assessment=assess("monitor"))
    words = "What they found and told you counts more than this page"
    assert words not in page(sign_in(patient), photo)
    record_finding(photo=photo, by=clinician, diagnosis="MEL", source="histopathology")
    html = page(sign_in(patient), photo)
    assert html.index(words) < html.index('<h2 class="result__diagnosis"')


def test_another_photo_of_the_spot_that_was_refused_gets_no_diagnosis_either(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    lesion = create_lesion(owner=patient, name="nape")
    predict(make_photo(patient, lesion=lesion), NEVUS, assessment=assess("not_assessed", "blurred"))
    html = page(sign_in(patient), make_photo(patient, lesion=lesion))
    assert "Melanocytic nevus" not in html
    assert "Could not be assessed" in html


# --- Sealed figures


def test_an_uncertain_answer_names_what_cannot_be_told_apart(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    wide = assess("soon", "uncertain", prediction_set=("NV", "MEL", "BKL"))
    html = page(sign_in(patient), predict(make_photo(patient), NEVUS, assessment=wide))
    words = "does not tell these apart: Melanocytic nevus, Melanoma and Benign keratosis."
    assert words in html
    assert html.index("Have a doctor look") < html.index(words) < html.index('<details class="more"')
    certain = assess("soon", prediction_set=("NV",))
    assert "tell these apart" not in page(sign_in(patient), predict(make_photo(patient), NEVUS, assessment=certain))


@pytest.mark.usefixtures("manifest")
def test_the_figures_are_those_of_the_manifest(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    photo = predict(make_photo(patient), NEVUS, assessment=assess("soon", score=4, prediction_set=("NV", "MEL")))
    text = body(page(sign_in(patient), photo))
    assert "Score 4 of 10" in text
    assert "Of 100 test pictures with score 4, 12 showed a cancer (between 8 and 17)" in text
    assert "300 test pictures had it" in text
    assert "Of 100 pictures with any score, 5 show a cancer" in text  # 41 of 800
    assert "91 % (87 to 94)" in text
    assert "88 % (82 to 92)" in text
    assert "60 % (57 to 63)" in text
    assert (
        "Within days" not in text.split("How often the advice", 1)[1].split("Harmless spots not sent to a doctor")[0]
    )  # not measured on the test split: left out
    assert (
        "In 89 of 100 test pictures the right diagnosis was in a list made like this one: Melanocytic nevus and "
        "Melanoma . For rare diagnoses it was less often."
    ) in text


@pytest.mark.usefixtures("manifest")
def test_what_was_measured_comes_before_the_most_likely_diagnosis(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    photo = predict(make_photo(patient), NEVUS, assessment=assess("soon", score=4, prediction_set=("NV", "MEL")))
    text = body(page(sign_in(patient), photo))
    measured = text.index("Of 100 dermatoscope pictures with score 4 of 10, 12 showed a cancer.")
    likely = text.index("Most likely Melanocytic nevus NV 70 %")
    assert text.index("Have a doctor look at it soon") < measured < likely


def test_the_figures_are_those_of_the_kind_of_picture_and_weighted_to_the_case_mix(
    classifier_row: Classifier,
    patient: User,
    make_photo: MakePhoto,
    predict: Predict,
    assess: Assess,
    sign_in: SignIn,
) -> None:
    def block(share: float) -> dict[str, Any]:
        rows = [{"score": 4, "pictures": 50, "malignant": 5, "share": share, "low": 0.001, "high": 0.5}]
        return {"assessment": {"score": rows}}

    manifest = {"image_types": {DERMOSCOPIC: block(0.2), CLOSE_UP: block(0.36)}, "case_mix": HAM10000.as_json()}
    Classifier.objects.update(manifest=manifest)
    photo = predict(make_photo(patient), NEVUS, assessment=assess("soon", score=4))
    retell(photo, image_type=CLOSE_UP, image_type_source="told", case_mix=HAM10000.as_json(), picture_alone=NEVUS)
    text = body(page(sign_in(patient), photo))
    assert "Of 100 phone or camera photos with score 4 of 10, 36 (0 to 50) showed a cancer." in text
    assert "Of 100 pictures with any score, 18 show a cancer" in text  # MEL, BCC and SCC of HAM10000
    assert "people as they come to a clinic" in text


def test_no_score_is_said_to_be_free_of_cancers(
    classifier_row: Classifier, patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    rows = [{"score": 1, "pictures": 90, "malignant": 0, "share": 0.0, "low": 0.0, "high": 0.04}]
    Classifier.objects.update(manifest={"assessment": {"score": rows}})
    photo = predict(make_photo(patient), NEVUS, assessment=assess("monitor", score=1))
    text = body(page(sign_in(patient), photo))
    assert (
        "with score 1 of 10, fewer than 1 showed a cancer." in text and "test pictures had it. In brackets" not in text
    )
    rows[0] |= {"pictures": 6, "high": 0.39}
    Classifier.objects.update(manifest={"assessment": {"score": rows}})
    text = body(page(sign_in(patient), photo))
    assert "fewer than 1 (0 to 39) showed a cancer. 6 test pictures had it. In brackets" in text, "six are no proof"


@pytest.fixture
def told(patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess) -> Callable[..., Photo]:
    """A photo whose assessment went by answers, too: `told(picture_decision="monitor")`."""

    def make(*, decision: str = "soon", picture_decision: str, **values: Any) -> Photo:
        photo = predict(make_photo(patient), NEVUS, assessment=assess(decision, score=4))
        given: dict[str, Any] = {
            "image_type": CLOSE_UP,
            "image_type_source": "told",
            "case_mix": HAM10000.as_json(),
            "picture_alone": [0.05, 0.41, 0.05, 0.1, 0.2, 0.09, 0.05, 0.05],
            "used": ["age_approx", "grew", "itch"],
            "picture_decision": picture_decision,
        }
        retell(photo, **{**given, **values})
        return Photo.objects.for_display().get(pk=photo.pk)

    return make


def test_what_was_told_is_said_to_have_counted_with_the_answer_of_the_picture_alone(
    told: Callable[..., Photo], patient: User, sign_in: SignIn
) -> None:
    text = body(page(sign_in(patient), told(picture_decision="soon")))
    assert "Besides the picture, this counted: age, answers about the spot." in text
    assert "The picture alone Melanocytic nevus, 41 % the three cancers together 15 %" in text
    assert "With what was told Melanocytic nevus, 70 %" in text


@pytest.mark.parametrize(
    ("decision", "picture_decision", "words"),
    [
        ("urgent", "monitor", "The picture together with what you told strongly resembles skin cancers"),
        ("soon", "monitor", "together with what you told it does not"),
        ("monitor", "soon", "The picture alone would have sent you to a doctor"),
    ],
)
def test_an_advice_that_what_was_told_has_changed_says_so(
    decision: str, picture_decision: str, words: str, told: Callable[..., Photo], assess: Assess
) -> None:
    photo = told(decision=decision, picture_decision=picture_decision)
    assert photo.assessment is not None
    assert words in advice_on(photo, photo.assessment).detail
    same = told(decision=decision, picture_decision=decision)
    assert same.assessment is not None
    assert "you told" not in advice_on(same, same.assessment).detail


def test_a_history_that_needs_a_doctor_does_not_speak_for_the_picture(
    told: Callable[..., Photo], patient: User
) -> None:
    """The picture alone would have sent the patient to a doctor, what was told took it back, and the spot is raised."""
    photo = told(decision="monitor", picture_decision="soon")
    photo.history = PhotoHistory(photo=photo, raised=True)
    assert photo.assessment is not None
    advice = advice_on(photo, photo.assessment)
    assert advice.kind == "soon" and "The picture alone would allow you to wait" not in advice.detail


# --- The kind of picture


@pytest.mark.parametrize(("who", "subject"), [("patient", "You said"), ("clinician", "The patient said")])
def test_a_contradiction_is_shown_plainly_with_a_button_to_change_it(
    who: str, subject: str, request: pytest.FixtureRequest, told: Callable[..., Photo], sign_in: SignIn
) -> None:
    photo = told(picture_decision="soon", contradicted=True)
    html = page(sign_in(request.getfixturevalue(who)), photo)
    assert f"{subject} that the photo was taken with a phone or a camera." in html
    assert "It looks as if it was taken through a dermatoscope." in html
    form = html.split('<section class="notice notice--strong contradiction"')[1].split("</section>")[0]
    assert f'action="{reverse("photo-image-type", args=[photo.pk])}"' in form
    assert f'name="image_type" value="{DERMOSCOPIC}"' in form and "csrfmiddlewaretoken" in form


def test_a_refused_picture_may_be_one_of_the_other_kind(
    told: Callable[..., Photo], patient: User, sign_in: SignIn
) -> None:
    """A patient sees the contradiction also where no answer is shown: it may be why the picture was refused."""
    photo = told(picture_decision="soon", contradicted=True)
    refused = retell(
        photo, decision="not_assessed", picture_decision="not_assessed", score=None, assessment=_refused("unfamiliar")
    )
    html = page(sign_in(patient), photo)
    assert refused.is_refused and "It looks as if it was taken through a dermatoscope" in html
    assert "Most likely" not in html


def _refused(code: str) -> dict[str, Any]:
    gates = tuple(GateResult(gate, code not in CODES_OF[gate], code if code in CODES_OF[gate] else "") for gate in Gate)
    return Assessment(Decision.NOT_ASSESSED, score=None, gates=gates).as_json()


def test_the_kind_can_be_changed_also_without_a_contradiction(
    told: Callable[..., Photo], patient: User, sign_in: SignIn
) -> None:
    html = page(sign_in(patient), told(picture_decision="soon"))
    assert "contradiction" not in html
    row = html.split("<dt>How it was taken</dt>")[1].split("</dl>")[0]
    assert 'with a phone or a camera <span class="quiet">(as told with the photo)</span>' in row
    assert row.count('type="radio"') == 3 and "Assess it again" in row


@pytest.mark.usefixtures("manifest")
def test_a_score_that_no_test_picture_had_is_given_no_meaning(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    text = body(page(sign_in(patient), predict(make_photo(patient), NEVUS, assessment=assess("soon", score=9))))
    assert "Score 9 of 10" in text
    assert "test pictures with score" not in text


BROKEN: list[Any] = [
    {},
    {"assessment": None, "metrics": []},
    {
        "assessment": {"score": "none", "decision": [], "conformal": {"coverage": 2}},
        "metrics": {"decision": {"soon": 1}},
    },
    {"assessment": {"score": [{"score": 4, "pictures": "many", "share": None}]}},
    {"assessment": {"score": [7]}, "metrics": {"decision": {"soon": {"sensitivity": {"value": 0.5}}}}},
]


@pytest.mark.parametrize("manifest", BROKEN)
def test_what_a_manifest_does_not_hold_is_left_out(
    manifest: dict[str, Any],
    classifier_row: Classifier,
    patient: User,
    make_photo: MakePhoto,
    predict: Predict,
    assess: Assess,
    sign_in: SignIn,
) -> None:
    Classifier.objects.update(manifest=manifest)
    text = body(page(sign_in(patient), predict(make_photo(patient), NEVUS, assessment=assess("soon", score=4))))
    assert "Score 4 of 10" in text
    assert "showed a cancer" not in text
    assert "How often the advice" not in text


# --- Lists


@pytest.fixture
def worklist(patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess) -> dict[str, Photo]:
    """One photo of each kind; sorting by dates or scores would give another order."""
    calm, cancer = NEVUS, [0.9, 0.04, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]
    return {
        "waiting": make_photo(patient),
        "monitor": predict(make_photo(patient), cancer, assessment=assess("monitor")),
        "refused": predict(make_photo(patient), calm, assessment=assess("not_assessed", "blurred")),
        "old": predict(make_photo(patient), cancer),
        "soon": predict(make_photo(patient), calm, assessment=assess("soon")),
        "urgent, less": predict(make_photo(patient), calm, assessment=assess("urgent")),
        "urgent": predict(make_photo(patient), cancer, assessment=assess("urgent")),
    }


def shown(client: Client, query: str) -> list[Photo]:
    return list(client.get(f"/review/?{query}").context["page"])


def test_the_worklist_is_sorted_by_the_decision(worklist: dict[str, Photo], clinician: User, sign_in: SignIn) -> None:
    client = sign_in(clinician)
    # Photos without a decision come before those that may wait, as in the worklist.
    order = ["urgent", "urgent, less", "soon", "old", "refused", "waiting", "monitor"]
    assert shown(client, "sort=urgent") == [worklist[name] for name in order]
    record_finding(photo=worklist["urgent"], by=clinician, diagnosis="NV", source="clinician")
    assert shown(client, "sort=urgent") == [worklist[name] for name in order[1:]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("decision=urgent", {"urgent", "urgent, less"}),
        ("decision=not_assessed", {"refused"}),
        ("decision=monitor", {"monitor"}),
        ("decision=fine", {"waiting", "monitor", "refused", "old", "soon", "urgent, less", "urgent"}),
    ],
)
def test_the_list_is_filtered_by_the_decision(
    query: str, names: set[str], worklist: dict[str, Photo], clinician: User, sign_in: SignIn
) -> None:
    assert set(shown(sign_in(clinician), query)) == {worklist[name] for name in names}


def test_a_photo_analysed_again_is_not_found_by_its_former_decision(
    worklist: dict[str, Photo], clinician: User, sign_in: SignIn
) -> None:
    Photo.objects.filter(pk=worklist["soon"].pk).update(status=Photo.Status.QUEUED)
    assert shown(sign_in(clinician), "decision=soon") == []


def test_paging_by_urgency_shows_everything_once(
    clinician: User, patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess, sign_in: SignIn
) -> None:
    for number in range(30):
        decision = list(Decision)[number % 3]
        share = 0.1 + number / 100
        predict(make_photo(patient), [share, 0.9 - share, *[0.1 / 6] * 6], assessment=assess(decision))
    client = sign_in(clinician)
    first = client.get("/review/?sort=urgent").context["page"]
    second = client.get("/review/", {"sort": "urgent", "cursor": first.older}).context["page"]
    seen = [(photo.priority, photo.malignant_score) for photo in [*first, *second]]
    assert len(seen) == 30
    assert seen == sorted(seen, reverse=True)
    assert {photo.pk for photo in [*first, *second]} == set(Photo.objects.values_list("pk", flat=True))


def test_the_chosen_queue_says_so(worklist: dict[str, Photo], clinician: User, sign_in: SignIn) -> None:
    client = sign_in(clinician)

    def chosen(query: str) -> list[str]:
        main = client.get(f"/review/?{query}").content.decode().split('class="queues"')[1].split("</nav>")[0]
        return re.findall(r'aria-current="true">([^<]+)<', main)

    assert len(chosen("")) == 1
    assert chosen("cursor=x&patient=") == chosen("")
    assert chosen("decision=not_assessed&site=head/neck") == []


def test_tiles_carry_the_decision(worklist: dict[str, Photo], patient: User, sign_in: SignIn) -> None:
    history = sign_in(patient).get("/photos/").content.decode()
    for decision, name in DECISION_NAMES.items():
        assert f'badge--{decision}">{name}<' in history
    # Two of the three calm ones: only clinicians see the answer to the refused picture.
    assert history.count("Melanocytic nevus</span>") == 2


def test_a_list_does_not_fetch_manifests(
    worklist: dict[str, Photo], clinician: User, sign_in: SignIn, django_assert_max_num_queries: Any
) -> None:
    client = sign_in(clinician)
    with django_assert_max_num_queries(12) as captured:
        client.get("/review/?sort=urgent")
    assert not [query["sql"] for query in captured.captured_queries if '"manifest"' in query["sql"]]
