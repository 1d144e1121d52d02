"""A synthetic practice: data as after months of use of Teri.

It is built by the application's services, so that only possible states occur. Only the dates are set back. Pictures and
people are invented.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import numpy as np
from django.db import transaction
from django.utils import timezone
from PIL import Image

from accounts.models import Purpose, Role, User
from accounts.services import give_consent
from accounts.services.profiles import save_profile
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.models import Lesion
from diagnoses.lesions.reminders import set_reminder
from diagnoses.lesions.services import BodyPlace, create_lesion
from diagnoses.photos.histories import HistoryAnswers
from diagnoses.photos.models import Photo
from diagnoses.photos.predictions import Claim, claim_photo, fail_photo, record_prediction
from diagnoses.photos.services import PhotoMetadata, submit_photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.models import Finding, Reading
from diagnoses.readings.services import begin_reading, record_blind, record_final, request_review
from diagnoses.sharing.services import make_share_link
from recognition.inference.assessment import CODES_OF, Assessment, Decision, Gate, GateResult
from recognition.inference.case_mix import HAM10000
from recognition.taxonomy import CLOSE_UP, CODES
from tests.diagnoses.answers import Saying, made_outputs
from tests.diagnoses.assessments import retell
from tests.factories import made_photo

PASSWORD: Final = "a long enough password"
# Days before today on which the monitored spot was photographed.
DAYS: Final = (186, 93, 0)
# Texts that people wrote, in Cyrillic letters, so that the test finds untranslated English sentences.
WORDS: Final[Mapping[str, str]] = {
    "patient": "Айгерим Сәтбаева",
    "followed": "Сол иық",
    "calm": "Арқа",
    "urgent": "Балтыр",
    "blind": "Бет",
    "doctor": "дәрігер",
    "reason": "Сырт пішіні",
    "note": "Дәрігерге көрініңіз.",
}
Paint = Callable[[str, int], bytes]


@dataclass
class Practice:
    """The people and photos of the practice."""

    patient: User
    clinicians: list[User]
    administrator: User
    token: str = ""
    spots: dict[str, Lesion] = field(default_factory=dict)
    photos: dict[str, Photo] = field(default_factory=dict)


def probabilities(code: str, share: float) -> list[float]:
    """Eight probabilities with `share` for one diagnosis and the rest in unequal parts, in ISIC order."""
    weights = np.array([0.0 if each == code else 1.0 / (3 + position) for position, each in enumerate(CODES)])
    rest = weights / weights.sum() * (1 - share)
    return [share if each == code else float(rest[position]) for position, each in enumerate(CODES)]


def assessment(decision: Decision, *, score: int | None = None, refusal: str = "", others: str = "") -> Assessment:
    """An assessment; `refusal` is the code of the gate that did not pass."""
    gates = tuple(
        GateResult(gate, refusal not in CODES_OF[gate], refusal if refusal in CODES_OF[gate] else "", 3.25, 12.5)
        for gate in Gate
    )
    return Assessment(
        decision,
        score=score,
        gates=gates,
        prediction_set=tuple(others.split()),
        monitor_days=90 if decision is Decision.MONITOR else None,
    )


def heatmap(size: tuple[int, int]) -> bytes:
    """A warm patch in the middle, clear around it: a PNG file."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    warmth = np.exp(-(((x - width / 2) / (0.22 * width)) ** 2) - ((y - height / 2) / (0.25 * height)) ** 2)
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = 255, (210 * (1 - warmth)).astype(np.uint8), 40
    pixels[..., 3] = (220 * warmth).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def make_practice(classifier: Classifier, *, paint: Paint = made_photo, words: Mapping[str, str] = WORDS) -> Practice:
    """Three clinicians, an administrator, and a patient with photos in every state that a page shows differently.

    `paint` makes the file of a picture from a diagnosis and a seed; `words` are what the people wrote.
    """
    clinicians = make_clinicians()
    administrator = User.objects.create_user("head@example.org", PASSWORD, name="Ерлан", role=Role.ADMINISTRATOR)
    practice = Practice(a_patient("aigerim@example.org", words["patient"]), clinicians, administrator)
    _fill_record(practice, classifier, paint, words)
    _read(practice, words)
    link = make_share_link(photo=practice.photos["followed-0"], by=practice.patient, days=7, label=words["doctor"])
    practice.token = link[1]
    return practice


def make_clinicians() -> list[User]:
    """Three clinicians, so that two can disagree and one decides."""
    return [
        User.objects.create_user(f"{mail}@example.org", PASSWORD, name=name, role=Role.CLINICIAN)
        for mail, name in (("asel", "Асель Нұрланова"), ("daniyar", "Данияр Омаров"), ("irina", "Ирина Ким"))
    ]


def a_patient(email: str, name: str) -> User:
    """A patient who agreed to both texts and filled in the profile."""
    user = User.objects.create_user(email, PASSWORD, name=name)
    for purpose in Purpose:
        give_consent(user=user, purpose=purpose, by=user)
    answers = {"year_of_birth": 1984, "sex": "female", "fitzpatrick_skin_type": 3, "family_hx_mm": True}
    save_profile(user=user, by=user, answers=answers)
    return user


def send_photo(
    owner: User,
    picture: bytes,
    *,
    lesion: Lesion | None = None,
    history: HistoryAnswers | None = None,
    name: str = "1.jpg",
) -> tuple[Photo, Claim]:
    """Upload a picture and claim it before a worker does."""
    with transaction.atomic():  # the message to the workers is sent after the commit
        photo = submit_photo(
            owner=owner,
            data=picture,
            file_name=name,
            metadata=PhotoMetadata(lesion=lesion, age_approx=40, sex="female", image_type=CLOSE_UP),
            history=history,
        )
        claim = claim_photo(photo.pk)
    assert claim is not None
    return photo, claim


def record_answer(
    sent: tuple[Photo, Claim], code: str, share: float, said: Assessment, classifier: Classifier
) -> Photo:
    """Record a result of a claimed photo, like a worker, with `code` as the top diagnosis."""
    photo, claim = sent
    record_prediction(
        claim=claim,
        classifier=classifier,
        outputs=made_outputs(probabilities(code, share)),
        assessor=Saying(said),
        heatmap_png=heatmap((photo.width, photo.height)),
        runtime="onnx",
        duration_ms=140,
    )
    return Photo.objects.get(pk=photo.pk)


def answer_photo(
    owner: User, lesion: Lesion | None, code: str, share: float, said: Assessment, classifier: Classifier
) -> Photo:
    """Upload a painted spot and record the given result, independent of the workers."""
    return record_answer(send_photo(owner, made_photo(code), lesion=lesion), code, share, said, classifier)


def _fill_record(practice: Practice, classifier: Classifier, paint: Paint, words: Mapping[str, str]) -> None:
    owner, spots, photos = practice.patient, practice.spots, practice.photos

    def spot(key: str, region: str) -> Lesion:
        spots[key] = create_lesion(owner=owner, name=words[key], place=BodyPlace.of_region(region))
        return spots[key]

    def send(
        code: str, seed: int, lesion: Lesion | None = None, *, days_ago: int = 0, told: bool = False
    ) -> tuple[Photo, Claim]:
        history = HistoryAnswers(duration="years", change_size=True, diameter_7mm=True, itch=False) if told else None
        sent = send_photo(owner, paint(code, seed), lesion=lesion, history=history, name=f"{seed}.jpg")
        Photo.objects.filter(pk=sent[0].pk).update(created=timezone.now() - timedelta(days=days_ago, minutes=seed))
        return sent

    def answered(code: str, share: float, said: Assessment, sent: tuple[Photo, Claim]) -> Photo:
        return record_answer(sent, code, share, said, classifier)

    monitor, soon = assessment(Decision.MONITOR, score=2), assessment(Decision.SOON, score=6, others="NV MEL BKL")
    urgent = assessment(Decision.URGENT, score=9)
    followed = spot("followed", "front-left-arm")
    for number, days_ago in enumerate(DAYS):
        newest = days_ago == DAYS[-1]
        sent = send("NV", 20 + number, followed, days_ago=days_ago, told=newest)
        photos[f"followed-{number}"] = answered("NV", 0.62 - 0.06 * number, soon if newest else monitor, sent)
    calm = spot("calm", "back-trunk")
    photos["calm"] = answered("NV", 0.91, monitor, send("NV", 30, calm, days_ago=1))
    set_reminder(lesion=calm, months=3, by=owner)
    leg = spot("urgent", "back-left-leg")
    photos["urgent"] = answered("MEL", 0.83, urgent, send("MEL", 31, leg, days_ago=2, told=True))
    retell(
        photos["urgent"],
        image_type=CLOSE_UP,
        image_type_source="told",
        contradicted=True,
        case_mix=HAM10000.as_json(),
        picture_alone=probabilities("MEL", 0.45),
        picture_decision=Decision.SOON,
        used=["age_approx", "sex", "grew"],
    )
    photos["blind"] = answered("BCC", 0.71, urgent, send("BCC", 32, spot("blind", "front-head"), told=True))
    photos["revealed"] = answered("MEL", 0.64, urgent, send("MEL", 33))
    dark = assessment(Decision.NOT_ASSESSED, refusal="too_dark")
    photos["refused"] = answered("NV", 0.4, dark, send("NV", 34))
    photos["failed"], failing = send("AK", 35)
    fail_photo(claim=failing, code="prediction_failed")
    photos["waiting"], _claim = send("DF", 36)
    request_review(photo=photos["blind"], by=owner)


def _read(practice: Practice, words: Mapping[str, str]) -> None:
    """One photo with disagreeing readings, adjudication and histopathology; one begun; one waiting for a second."""
    said = (("MEL", "biopsy"), ("NV", "refer"), ("MEL", "biopsy"))
    for clinician, (code, management) in zip(practice.clinicians, said, strict=True):
        _reading(practice.photos["urgent"], clinician, code, management, words)
    record_finding(
        photo=practice.photos["urgent"],
        by=practice.clinicians[0],
        diagnosis="MEL",
        source=Finding.Source.HISTOPATHOLOGY,
        note="№ 1284",
    )
    half = begin_reading(photo=practice.photos["revealed"], by=practice.clinicians[0])
    record_blind(reading=half, by=practice.clinicians[0], answer=Reading.Answer.DIAGNOSIS, diagnosis="MEL")
    _reading(practice.photos["followed-2"], practice.clinicians[0], "MEL", "refer", words)


def _reading(photo: Photo, clinician: User, code: str, management: str, words: Mapping[str, str]) -> None:
    begun = begin_reading(photo=photo, by=clinician)
    record_blind(reading=begun, by=clinician, answer=Reading.Answer.DIAGNOSIS, diagnosis=code)
    record_final(
        reading=begun,
        by=clinician,
        answer=Reading.Answer.DIAGNOSIS,
        diagnosis=code,
        management=management,
        override_reason="" if code == photo.diagnosis else words["reason"],
        note=words["note"],
        shown_role=begun.role,
    )
