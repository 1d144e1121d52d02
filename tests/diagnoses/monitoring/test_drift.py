"""Drift of the live classifier: the comparisons, their minimum sizes, and the drift page."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.monitoring.drift import Drift, KindDrift, bars_of_mix, bars_of_scores, measure_drift
from diagnoses.monitoring.drift.measured import ANSWERS_MIN, INDEX_LARGE, READINGS_MIN, AnswerCounts, Comparison
from diagnoses.photos.models import PhotoAssessment
from diagnoses.readings.models import Reading
from recognition.inference.calibration import Calibration
from recognition.inference.case_mix import BALANCED
from recognition.inference.degenerate_output import live_reference
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC
from tests.diagnoses.monitoring.conftest import table_of

NOW = timezone.now()
PLAIN = Calibration().as_json()
PROMOTED = NOW - timedelta(days=90)

Answer = Callable[..., list[PhotoAssessment]]


def row(version: str, stage: Classifier.Stage, promoted: datetime | None) -> Classifier:
    return Classifier.objects.create(
        version=version, sha256=uuid.uuid4().hex * 2, manifest={}, stage=stage, promoted=promoted
    )


@pytest.fixture
def live(db: None) -> Classifier:
    return row("second", Classifier.Stage.LIVE, PROMOTED)


@pytest.fixture
def earlier(db: None) -> Classifier:
    return row("first", Classifier.Stage.RETIRED, PROMOTED - timedelta(days=200))


@pytest.fixture
def answer(assessed: Any) -> Answer:
    """Record answers of a classifier at a moment: `answer(live, 100, moment, ["NV", "MEL"])`, one after the other."""

    def do(
        classifier: Classifier, count: int, moment: datetime, codes: list[str], image_type: str = ""
    ) -> list[PhotoAssessment]:
        tables = [[0.65 if each == codes[number % len(codes)] else 0.05 for each in CODES] for number in range(count)]
        made: list[PhotoAssessment] = assessed(classifier, tables, moment=moment, image_type=image_type)
        return made

    return do


def of_kind(drift: Drift, image_type: str = DERMOSCOPIC) -> KindDrift:
    return next(kind for kind in drift.kinds if kind.image_type == image_type)


MIXED = ["NV", "NV", "NV", "MEL", "BKL"]


def read(assessments: list[PhotoAssessment], reader: User, *, agreed: int) -> None:
    """Record final readings of these; the first `agreed` of them have the assessment's diagnosis."""
    for number, assessment in enumerate(assessments):
        said = assessment.diagnosis if number < agreed else "DF"
        Reading.objects.create(
            photo=assessment.photo, reader=reader, role="first", blind_answer="diagnosis", blind_diagnosis=said,
            revealed=NOW, assessment=assessment, answer="diagnosis", diagnosis=said, management="discharge",
            recorded=NOW,
        )  # fmt: skip


def test_too_few_say_nothing(live: Classifier, earlier: Classifier, answer: Answer) -> None:
    answer(earlier, ANSWERS_MIN, PROMOTED - timedelta(days=1), ["MEL"])
    answer(live, ANSWERS_MIN - 1, NOW, ["NV"])
    drift = measure_drift(live)
    kind = of_kind(drift)
    assert kind.promotion is not None and not kind.promotion.is_enough
    assert drift.is_unknown and not drift.is_quiet
    assert not drift.has_moved_since_promotion


def test_the_same_answers_are_no_drift(live: Classifier, earlier: Classifier, answer: Answer) -> None:
    answer(earlier, ANSWERS_MIN, PROMOTED - timedelta(days=1), MIXED)
    answer(live, ANSWERS_MIN, NOW - timedelta(days=40), MIXED)
    answer(live, ANSWERS_MIN, NOW, MIXED)
    drift = measure_drift(live)
    assert drift.is_quiet
    lately = of_kind(drift).lately
    assert lately.before.count == lately.after.count == ANSWERS_MIN


@pytest.mark.parametrize(("times", "has_moved"), [(1, False), (10, True)])
def test_a_large_shift_that_few_answers_show_by_chance_is_no_drift(times: int, has_moved: bool) -> None:
    mix = (ANSWERS_MIN * times, *[0] * (len(CODES) - 1))
    before, after = (
        AnswerCounts(ANSWERS_MIN * times, tuple(count * times for count in scores), mix)
        for scores in ([10] * 10, [3, 17] * 3 + [10] * 4)
    )
    comparison = Comparison(before, after)
    assert comparison.index > INDEX_LARGE
    assert comparison.has_moved is has_moved


def test_another_camera_is_seen_in_the_live_classifiers_own_answers(live: Classifier, answer: Answer) -> None:
    answer(live, 150, NOW - timedelta(days=40), MIXED)
    answer(live, 150, NOW, ["MEL", "BCC", "NV"])
    drift = measure_drift(live)
    kind = of_kind(drift)
    assert kind.promotion is None and kind.readings is None
    assert kind.lately.have_scores_moved and kind.lately.has_mix_moved
    assert drift.has_moved_lately and not drift.is_quiet


def test_answers_from_before_a_return_are_not_counted_as_since(
    live: Classifier, earlier: Classifier, answer: Answer
) -> None:
    """After a rollback, answers from before the last promotion do not count, nor the predecessor's after it."""
    answer(live, 5, PROMOTED - timedelta(days=300), ["SCC"])
    answer(live, 7, NOW, ["NV"])
    answer(earlier, 11, NOW, ["NV"])
    kind = of_kind(measure_drift(live))
    assert kind.promotion is not None
    assert (kind.promotion.before.count, kind.promotion.after.count) == (0, 7)


def test_agreement_of_clinicians(live: Classifier, earlier: Classifier, answer: Answer, clinician: User) -> None:
    read(answer(earlier, 60, PROMOTED - timedelta(days=1), MIXED), clinician, agreed=57)
    read(answer(live, READINGS_MIN, NOW, MIXED), clinician, agreed=15)
    drift = measure_drift(live)
    readings = of_kind(drift).readings
    assert readings is not None
    assert readings.before is not None and readings.after is not None
    assert readings.difference is not None
    assert (readings.before.hits, readings.before.of) == (57, 60)
    assert (readings.after.hits, readings.after.of) == (15, 30)
    assert drift.has_agreement_fallen
    assert readings.difference[1] < 0


def test_kinds_of_picture_are_compared_apart(
    live: Classifier, earlier: Classifier, answer: Answer, clinician: User
) -> None:
    """Phone photos moved; dermoscopic ones did not, and their readings say nothing of phone photos."""
    before = PROMOTED - timedelta(days=1)
    answer(earlier, ANSWERS_MIN, before, MIXED, DERMOSCOPIC)
    answer(earlier, ANSWERS_MIN, before, MIXED, CLOSE_UP)
    read(answer(live, ANSWERS_MIN, NOW, MIXED, DERMOSCOPIC)[:READINGS_MIN], clinician, agreed=READINGS_MIN)
    answer(live, ANSWERS_MIN, NOW, ["MEL"], CLOSE_UP)
    drift = measure_drift(live)
    assert [kind.image_type for kind in drift.kinds] == [DERMOSCOPIC, CLOSE_UP]
    dermoscopic, close_up = drift.kinds
    assert not dermoscopic.has_moved_since_promotion and close_up.has_moved_since_promotion
    assert drift.has_moved_since_promotion and not drift.is_quiet
    assert dermoscopic.readings is not None and dermoscopic.readings.after is not None
    assert close_up.readings is not None and close_up.readings.after is None


def test_pictures_are_compared_with_those_it_was_calibrated_on(live: Classifier, answer: Answer) -> None:
    """For the picture alone and by kind: half of the sealed answers were melanomas; of close-ups nothing is sealed."""
    sealed = live_reference([table_of("MEL"), table_of("NV")] * 200)
    live.manifest = {
        "case_mix": BALANCED.as_json(),
        "image_types": {DERMOSCOPIC: {"calibration": PLAIN, "assessment": {"live": sealed}}},
    }
    live.save()
    answer(live, 150, NOW, ["MEL", "NV"], DERMOSCOPIC)
    answer(live, 150, NOW, ["NV"], CLOSE_UP)
    same = measure_drift(live)
    assert of_kind(same).sealed is not None
    assert not same.has_moved_since_sealing and of_kind(same, CLOSE_UP).sealed is None
    answer(live, 400, NOW, ["NV"], DERMOSCOPIC)
    moved = of_kind(measure_drift(live)).sealed
    assert moved is not None and moved.have_scores_moved and moved.has_mix_moved


def test_another_stated_case_mix_and_more_answers_are_no_drift(live: Classifier, answer: Answer, assessed: Any) -> None:
    block = {"calibration": PLAIN, "operating_points": [], "assessment": {}, "metrics": {}}
    Classifier.objects.update(manifest={"image_types": {DERMOSCOPIC: block}})
    live.refresh_from_db()
    outputs: dict[str, Any] = {"logits": [0.0, 3.0, *[0.0] * 6], "dermoscopic": None, "quality": None, "ood": {}}
    for moment, code in ((NOW - timedelta(days=60), "NV"), (NOW, "MEL")):
        tables = [table_of(code)] * ANSWERS_MIN
        assessed(live, tables, moment=moment, image_type=DERMOSCOPIC, outputs=outputs)
    kind = of_kind(measure_drift(live))
    assert kind.lately.is_enough and not kind.lately.has_moved, "the network answered the same"


def test_one_photo_that_was_assessed_again_counts_once(live: Classifier, answer: Answer) -> None:
    (first,) = answer(live, 1, NOW - timedelta(hours=1), ["NV"], DERMOSCOPIC)
    PhotoAssessment.objects.create(
        photo=first.photo, prediction=first.prediction, probabilities=table_of("MEL"), picture_alone=table_of("NV"),
        diagnosis="MEL", confidence=0.65, malignant_score=0.75, image_type=DERMOSCOPIC, image_type_source="told",
        case_mix=BALANCED.as_json(), picture_decision="monitor",
    )  # fmt: skip
    lately = of_kind(measure_drift(live)).lately
    assert (lately.after.count, lately.after.mix[CODES.index("MEL")]) == (1, 1)


def test_better_agreement_is_no_alarm(live: Classifier, earlier: Classifier, answer: Answer, clinician: User) -> None:
    read(answer(earlier, 60, PROMOTED - timedelta(days=1), MIXED), clinician, agreed=30)
    read(answer(live, READINGS_MIN, NOW, MIXED), clinician, agreed=READINGS_MIN)
    assert not measure_drift(live).has_agreement_fallen


def test_only_the_live_one_is_measured(earlier: Classifier) -> None:
    with pytest.raises(ValueError, match="live"):
        measure_drift(earlier)


def test_the_queries_are_few(
    live: Classifier, earlier: Classifier, answer: Answer, django_assert_max_num_queries: Any
) -> None:
    answer(earlier, 120, PROMOTED - timedelta(days=1), MIXED)
    answer(live, 120, NOW, MIXED)
    with django_assert_max_num_queries(8):
        measure_drift(live)


def test_bars_stay_in_their_drawing(live: Classifier, answer: Answer) -> None:
    answer(live, 120, NOW - timedelta(days=40), ["NV"])
    answer(live, 120, NOW, MIXED)
    comparison = of_kind(measure_drift(live)).lately
    for chart in (bars_of_scores(comparison), bars_of_mix(comparison)):
        bars = [bar for pair in chart.pairs for bar in (pair.bar_before, pair.bar_after)]
        assert all(bar.y >= 0 and bar.y + bar.height <= chart.bottom + 0.2 for bar in bars)
        assert all(chart.left <= bar.x and bar.x + bar.width <= chart.width for bar in bars)
        assert sum(pair.before for pair in chart.pairs) == pytest.approx(1)
    assert [pair.name for pair in bars_of_mix(comparison).pairs] == list(CODES)


class TestPage:
    @pytest.fixture
    def browser(self, administrator: User) -> Client:
        client = Client()
        client.force_login(administrator)
        return client

    def test_shows_charts_and_the_same_as_tables(
        self, browser: Client, live: Classifier, earlier: Classifier, answer: Answer
    ) -> None:
        answer(earlier, 120, PROMOTED - timedelta(days=1), MIXED)
        answer(live, 120, NOW, ["MEL"])
        page = browser.get(reverse("admin:diagnoses_classifier_drift")).content.decode()
        assert page.count("<svg viewBox") == 2
        assert "Pictures taken through a dermatoscope" in page and "Pictures taken with a phone" not in page
        assert "Melanoma" in page and "moved" in page
        assert "Too few answers to compare: 0 before, 120 after." in page

    def test_without_a_live_classifier(self, browser: Client, earlier: Classifier) -> None:
        assert "No classifier is live." in browser.get(reverse("admin:diagnoses_classifier_drift")).content.decode()

    def test_is_the_administrators_alone(self, live: Classifier, clinician: User, patient: User) -> None:
        for user in (clinician, patient):
            client = Client()
            client.force_login(user)
            assert client.get(reverse("admin:diagnoses_classifier_drift")).status_code == 302
