"""A made practice: what somebody who has used Teri for months sees on its pages.

Built by the services that people use, so that nothing stands on a page that could not have come about; the dates alone
are set back. The pictures are painted, the people are nobody, and every word they "wrote" is in letters that all three
languages know, so that a forgotten English sentence stands out on a page.
"""

import io
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
from diagnoses.inference.assessment import CODES_OF, Assessment, Decision, Gate, GateResult
from diagnoses.models import Classifier, Finding, Lesion, Photo, Reading
from diagnoses.services import (
    BodyPlace,
    Claim,
    HistoryAnswers,
    PhotoMetadata,
    claim_photo,
    create_lesion,
    fail_photo,
    record_finding,
    record_prediction,
    set_reminder,
    submit_photo,
)
from diagnoses.services.readings import begin_reading, record_blind, record_final
from diagnoses.services.reviews import request_review
from diagnoses.services.sharing import make_share_link
from diagnoses.taxonomy import CODES
from tests.made import made_photo

PASSWORD: Final = "a long enough password"
# Days before today on which the spot that is followed was photographed.
DAYS: Final = (186, 93, 0)


@dataclass
class Practice:
    """The people and photos of a made practice."""

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
    """What the decision aid says; `refusal` is the code of the gate that did not pass."""
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


def make_practice(classifier: Classifier) -> Practice:
    """Three clinicians, an administrator, and a patient with photos in every state that a page shows differently."""
    clinicians = make_clinicians()
    administrator = User.objects.create_user("head@example.org", PASSWORD, name="Ерлан", role=Role.ADMINISTRATOR)
    practice = Practice(a_patient("aigerim@example.org", "Айгерим Сәтбаева"), clinicians, administrator)
    _fill_record(practice, classifier)
    _read(practice)
    practice.token = make_share_link(photo=practice.photos["followed-0"], by=practice.patient, days=7, label="дәрігер")[
        1
    ]
    return practice


def make_clinicians() -> list[User]:
    """Three of them, so that two may differ and one decides."""
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
    owner: User, code: str, *, seed: int = 7, lesion: Lesion | None = None, history: HistoryAnswers | None = None
) -> Photo:
    """Upload a painted spot of the kind `code`."""
    return submit_photo(
        owner=owner,
        data=made_photo(code, seed),
        file_name=f"{seed}.jpg",
        metadata=PhotoMetadata(lesion=lesion, age_approx=40, sex="female"),
        history=history,
    )


def record_answer(
    claim: Claim, photo: Photo, code: str, share: float, said: Assessment, classifier: Classifier
) -> None:
    """Answer a claimed photo as a worker would, with `code` as the top diagnosis."""
    record_prediction(
        claim=claim,
        classifier=classifier,
        probabilities=probabilities(code, share),
        heatmap_png=heatmap((photo.width, photo.height)),
        runtime="onnx",
        duration_ms=140,
        assessment=said,
    )


def answer_photo(
    owner: User, lesion: Lesion | None, code: str, share: float, said: Assessment, classifier: Classifier
) -> Photo:
    """Upload a painted spot and answer it with what is asked for, before any worker could answer it otherwise."""
    with transaction.atomic():  # the message to the workers goes out with the commit, when the photo is claimed
        photo = send_photo(owner, code, lesion=lesion)
        claim = claim_photo(photo.pk)
        assert claim is not None
    record_answer(claim, photo, code, share, said, classifier)
    return Photo.objects.get(pk=photo.pk)


def _fill_record(practice: Practice, classifier: Classifier) -> None:
    owner = practice.patient

    def spot(key: str, name: str, region: str) -> Lesion:
        practice.spots[key] = create_lesion(owner=owner, name=name, place=BodyPlace.of_region(region))
        return practice.spots[key]

    def photo(
        key: str, code: str, seed: int, lesion: Lesion | None = None, days_ago: int = 0, told: bool = False
    ) -> Photo:
        history = HistoryAnswers(duration="years", change_size=True, diameter_7mm=True, itch=False) if told else None
        sent = send_photo(owner, code, seed=seed, lesion=lesion, history=history)
        Photo.objects.filter(pk=sent.pk).update(created=timezone.now() - timedelta(days=days_ago, minutes=seed))
        practice.photos[key] = sent
        return sent

    def answered(sent: Photo, code: str, share: float, said: Assessment) -> None:
        claim = claim_photo(sent.pk)
        assert claim is not None
        record_answer(claim, sent, code, share, said, classifier)

    monitor, soon = assessment(Decision.MONITOR, score=2), assessment(Decision.SOON, score=6, others="NV MEL BKL")
    shoulder = spot("followed", "Сол иық", "front-left-arm")
    for number, days_ago in enumerate(DAYS):
        followed = photo(
            f"followed-{number}", "NV", seed=20 + number, lesion=shoulder, days_ago=days_ago, told=number == 2
        )
        answered(followed, "NV", 0.62 - 0.06 * number, monitor if number < 2 else soon)
    calm = photo("calm", "NV", seed=30, lesion=spot("calm", "Арқа", "back-trunk"), days_ago=1)
    answered(calm, "NV", 0.91, monitor)
    set_reminder(lesion=practice.spots["calm"], months=3, by=owner)
    urgent = photo("urgent", "MEL", seed=31, lesion=spot("urgent", "Балтыр", "back-left-leg"), days_ago=2, told=True)
    answered(urgent, "MEL", 0.83, assessment(Decision.URGENT, score=9))
    for key, code, seed in (("blind", "BCC", 32), ("revealed", "MEL", 33)):
        answered(photo(key, code, seed=seed), code, 0.7, assessment(Decision.URGENT, score=8))
    dark = photo("refused", "NV", seed=34)
    answered(dark, "NV", 0.4, assessment(Decision.NOT_ASSESSED, refusal="too_dark"))
    failed = claim_photo(photo("failed", "AK", seed=35).pk)
    assert failed is not None
    fail_photo(claim=failed, code="prediction_failed")
    photo("waiting", "DF", seed=36)
    request_review(photo=practice.photos["blind"], by=owner)
    for key in practice.photos:
        practice.photos[key] = Photo.objects.get(pk=practice.photos[key].pk)


def _read(practice: Practice) -> None:
    """One photo read by two who differ, settled by a third and proven; one half read; one waiting for its second."""
    said = (("MEL", "biopsy"), ("NV", "refer"), ("MEL", "biopsy"))
    for clinician, (code, management) in zip(practice.clinicians, said, strict=True):
        _reading(practice.photos["urgent"], clinician, code, management)
    record_finding(
        photo=practice.photos["urgent"],
        by=practice.clinicians[0],
        diagnosis="MEL",
        source=Finding.Source.HISTOPATHOLOGY,
        note="№ 1284",
    )
    half = begin_reading(photo=practice.photos["revealed"], by=practice.clinicians[0])
    record_blind(reading=half, by=practice.clinicians[0], answer=Reading.Answer.DIAGNOSIS, diagnosis="MEL")
    _reading(practice.photos["followed-2"], practice.clinicians[0], "MEL", "refer")


def _reading(photo: Photo, clinician: User, code: str, management: str) -> None:
    reading = begin_reading(photo=photo, by=clinician)
    record_blind(reading=reading, by=clinician, answer=Reading.Answer.DIAGNOSIS, diagnosis=code)
    reading.refresh_from_db()
    predicted = photo.diagnosis
    record_final(
        reading=reading,
        by=clinician,
        answer=Reading.Answer.DIAGNOSIS,
        diagnosis=code,
        management=management,
        override_reason="" if code == predicted else "Сырт пішіні",
        note="Дәрігерге көрініңіз.",
    )
