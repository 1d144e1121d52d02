"""The alarm about degenerate output of the live classifier: raised once, shown, cleared."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.monitoring import health
from diagnoses.monitoring.alarms import LOOKED_THROUGH, RECENT, watch_live_classifier
from diagnoses.monitoring.answers import picture_answers
from diagnoses.monitoring.models import ClassifierAlarm
from diagnoses.photos.models import Photo
from recognition.inference.degenerate_output import PREDICTIONS_MIN
from recognition.inference.outputs import PictureOutputs
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC

Answer = Callable[..., None]
ALWAYS = [0.02, 0.9, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01]


def mixed(number: int) -> list[float]:
    """Different diagnoses in turn."""
    return [0.65 if at == number % len(CODES) else 0.05 for at in range(len(CODES))]


@pytest.fixture
def answer(assessed: Any, classifier_row: Classifier) -> Answer:
    """Record this number of different pictures with these answers."""

    def do(count: int, probabilities: Callable[[int], list[float]], **fields: Any) -> None:
        assessed(classifier_row, [probabilities(number) for number in range(count)], **fields)

    return do


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_once_per_onset(answer: Answer, caplog: pytest.LogCaptureFixture, classifier_row: Classifier) -> None:
    answer(PREDICTIONS_MIN - 1, lambda _number: ALWAYS)
    assert watch_live_classifier() is None, "too few to say"
    answer(1, lambda _number: ALWAYS)
    raised = watch_live_classifier()
    assert raised is not None
    assert (raised.code, raised.detail["predictions"]) == ("constant", PREDICTIONS_MIN)
    assert watch_live_classifier() == raised
    assert len(errors(caplog)) == 1 and "test-1" in errors(caplog)[0]
    answer(RECENT, mixed)
    assert watch_live_classifier() is None
    assert ClassifierAlarm.objects.get().cleared is not None
    answer(RECENT, lambda _number: ALWAYS)
    again = watch_live_classifier()
    assert again is not None and again != raised
    assert len(errors(caplog)) == 2


def test_nearly_all_one_diagnosis(answer: Answer, classifier_row: Classifier) -> None:
    """Compared with its answers on the calibration pictures: a classifier of moles may mostly answer nevus."""

    def nearly(number: int) -> list[float]:
        rest = (0.4 - number % 7 / 20) / 7
        return [1 - 7 * rest if code == "NV" else rest for code in CODES]

    classifier_row.manifest = {"assessment": {"live": {"shares": {"NV": 0.97}, "spread": 0.3}}}
    classifier_row.save()
    answer(RECENT, nearly)
    assert watch_live_classifier() is None
    classifier_row.manifest = {"assessment": {"live": {"shares": {"NV": 0.67}, "spread": 0.3}}}
    classifier_row.save()
    alarm = watch_live_classifier()
    assert alarm is not None
    assert (alarm.code, alarm.detail["diagnosis"]) == ("one_diagnosis", "NV")


def test_one_picture_again_and_again_says_nothing(answer: Answer, classifier_row: Classifier) -> None:
    answer(RECENT, lambda _number: ALWAYS, original_sha256="e" * 64)
    answers = picture_answers(classifier_row, most=RECENT, looked_through=LOOKED_THROUGH)
    assert {kind: table.tolist() for kind, table in answers.items()} == {DERMOSCOPIC: [ALWAYS]}
    assert watch_live_classifier() is None


def test_each_kind_of_picture_is_watched_apart(answer: Answer) -> None:
    """A classifier that says the same of every phone photo, among sound answers to dermoscopic pictures."""
    answer(RECENT, mixed, image_type=DERMOSCOPIC)
    answer(PREDICTIONS_MIN - 1, lambda _number: ALWAYS, image_type=CLOSE_UP)
    assert watch_live_classifier() is None, "too few of this kind to say"
    answer(1, lambda _number: ALWAYS, image_type=CLOSE_UP)
    answer(RECENT, mixed, image_type=DERMOSCOPIC)
    raised = watch_live_classifier()
    assert raised is not None
    assert (raised.code, raised.detail["image_type"]) == ("constant", CLOSE_UP)
    assert raised.detail["predictions"] == PREDICTIONS_MIN


def test_what_people_tell_does_not_hide_a_broken_network(answer: Answer) -> None:
    outputs = PictureOutputs(np.array([0.2, 0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])).as_json()
    answer(RECENT, mixed, image_type=DERMOSCOPIC, outputs=outputs)
    raised = watch_live_classifier()
    assert raised is not None and raised.code == "constant"


def test_a_replaced_classifier_rings_no_more(answer: Answer, classifier_row: Classifier) -> None:
    answer(PREDICTIONS_MIN, lambda _number: ALWAYS)
    assert watch_live_classifier() is not None
    Classifier.objects.update(stage="retired")
    Classifier.objects.create(version="next", sha256="d" * 64, manifest={}, stage="live", promoted=timezone.now())
    assert not ClassifierAlarm.objects.ringing().exists()
    assert watch_live_classifier() is None
    assert ClassifierAlarm.objects.get().cleared is not None


class TestShown:
    @pytest.fixture
    def alarm(self, classifier_row: Classifier) -> ClassifierAlarm:
        detail = {"measured": 0.98, "limit": 0.95, "predictions": 50, "diagnosis": "NV"}
        return ClassifierAlarm.objects.create(classifier=classifier_row, code="one_diagnosis", detail=detail)

    def test_in_the_health_answer_without_making_the_site_unready(
        self, transactional_db: None, redis_server: Any, alarm: ClassifierAlarm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "_probes", health._Probes())

        def ask() -> dict[str, Any]:
            answer: dict[str, Any] = Client().get("/health/ready").json()
            return answer

        rings = ask()
        assert rings["alarm"] == "raised"
        ClassifierAlarm.objects.update(cleared=timezone.now())
        silent = ask()
        assert silent["alarm"] == "none"
        assert rings["checks"] == silent["checks"] and "alarm" not in silent["checks"]

    def test_on_the_admins_first_page(self, alarm: ClassifierAlarm, administrator: User) -> None:
        client = Client()
        client.force_login(administrator)
        page = client.get("/admin/").content.decode()
        assert (
            "calls nearly everything Melanocytic nevus (its last 50 different pictures taken through a dermatoscope)"
            in page
        )
        ClassifierAlarm.objects.update(code="constant")
        assert "nearly the same of whatever it is shown" in client.get("/admin/").content.decode()
        ClassifierAlarm.objects.update(cleared=timezone.now())
        assert "nearly the same" not in client.get("/admin/").content.decode()


def test_not_every_photo_is_looked_through(
    answer: Answer, classifier_row: Classifier, django_assert_num_queries: Any
) -> None:
    answer(RECENT + 5, mixed)
    with django_assert_num_queries(1):
        answers = picture_answers(classifier_row, most=RECENT, looked_through=LOOKED_THROUGH)
    assert len(answers[DERMOSCOPIC]) == RECENT
    assert Photo.objects.count() == RECENT + 5
