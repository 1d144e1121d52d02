"""The export: all data about one person as a ZIP that is streamed in pieces.

Memory holds only some rows and one piece of one file, and nothing is written to disk, so 500 photos need no more than
one. The JSON files contain the stored values (ISIC metadata names, codes), independent of the language. Only README.txt
and the consent texts are in the reader's language.

Assessments of refused pictures have no diagnosis here, as on all pages for patients.
"""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core.files.storage import default_storage
from django.core.serializers.json import DjangoJSONEncoder
from django.forms.models import model_to_dict
from django.template.loader import render_to_string
from django.utils import timezone
from knox.models import AuthToken

from accounts import audit
from accounts.models import AuditEntry, Consent, Notification, Profile, User
from accounts.permissions import NotAllowed
from diagnoses.lesions.models import Lesion
from diagnoses.personal_data.access_log import accesses_of
from diagnoses.photos.models import Photo, PhotoAssessment, PhotoHistory, Prediction

logger = logging.getLogger(__name__)

ROWS: Final = 100
"""The number of photos that are loaded at a time with their related rows."""


def export_account(*, user: User, by: User) -> Iterator[bytes]:
    """The pieces of a ZIP with all data about `user`. Audited when it begins.

    Raises NotAllowed unless `by` is the user. Files that are missing on the storage are listed in MISSING.txt.
    """
    if by.pk != user.pk or not by.is_active:
        raise NotAllowed("Only the person alone takes their data away.")
    audit.record(actor=by, action=AuditEntry.Action.ACCOUNT_EXPORTED, subject=f"user:{user.pk}")
    # Translate now: the language of the request is not active any more when the pieces are streamed.
    texts: dict[str, str] = {
        "README.txt": render_to_string("accounts/export/readme.txt", {"when": timezone.now(), "user": user})
    }
    for consent in Consent.objects.filter(user=user).select_related("text"):
        texts[f"consents/{_consent_name(consent)}.txt"] = consent.text.text
    return _pieces(user, texts)


class _Outgoing(io.RawIOBase):
    """A write-only file without seek, so that `zipfile` can stream."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        """The bytes that were written since the last call."""
        taken, self._written = bytes(self._written), bytearray()
        return taken


def _pieces(user: User, texts: dict[str, str]) -> Iterator[bytes]:
    out = _Outgoing()
    missing: list[str] = []
    with ZipFile(out, "w") as archive:
        for name, text in texts.items():
            yield from _entry(archive, out, name, iter([text.encode()]))
        for name, rows in _tables(user).items():
            yield from _entry(archive, out, name, rows())
        for name, stored in _files(user):
            try:
                with default_storage.open(stored) as file:
                    # Pictures are compressed already.
                    yield from _entry(archive, out, name, file.chunks(), compression=ZIP_STORED)
            except FileNotFoundError:
                logger.error("A stored file is missing from an export: %s", stored)
                missing.append(name)
        if missing:
            yield from _entry(archive, out, "MISSING.txt", iter(["\n".join([*missing, ""]).encode()]))
    yield out.take()


def _entry(
    archive: ZipFile, out: _Outgoing, name: str, pieces: Iterator[bytes], *, compression: int = ZIP_DEFLATED
) -> Iterator[bytes]:
    info = ZipInfo(name, date_time=timezone.localtime().timetuple()[:6])
    info.compress_type = compression
    # The unpacked file is readable only by its owner.
    info.external_attr = 0o600 << 16
    with archive.open(info, "w") as entry:
        for piece in pieces:
            entry.write(piece)
            yield out.take()


def _tables(user: User) -> dict[str, Callable[[], Iterator[bytes]]]:
    return {
        "account.json": lambda: iter([_json(_account(user))]),
        "spots.json": lambda: _array(_spot(lesion) for lesion in _lesions(user)),
        "photos.json": lambda: _array(_photo(photo) for photo in _photos(user)),
        "looks.json": lambda: _array(
            {"when": entry.when, "by": entry.role, "photo": entry.photo_id, "spot": entry.lesion_id}
            for entry in accesses_of(user)
        ),
        "actions.json": lambda: _array(
            AuditEntry.objects.filter(actor=str(user.pk))
            .order_by("created", "pk")
            .values("created", "action", "subject", "detail")
            .iterator(chunk_size=1000)
        ),
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2).encode()


def _array(rows: Iterator[Any]) -> Iterator[bytes]:
    """A JSON array, streamed row by row."""
    first = True
    for row in rows:
        yield (b"[\n" if first else b",\n") + _json(row)
        first = False
    yield b"[]\n" if first else b"\n]\n"


def _account(user: User) -> dict[str, Any]:
    profile = Profile.objects.filter(user=user).first()
    return {
        "id": user.pk,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "language": user.language,
        "notify_by_email": user.notify_by_email,
        "date_joined": user.date_joined,
        "last_login": user.last_login,
        "training_consent": user.training_consent,
        "email_addresses": list(EmailAddress.objects.filter(user=user).values("email", "verified", "primary")),
        "profile": None if profile is None else model_to_dict(profile, exclude=["id", "user"]),
        "consents": [
            {
                "purpose": consent.text.purpose,
                "version": consent.text.version,
                "given": consent.given,
                "withdrawn": consent.withdrawn,
                "text": f"consents/{_consent_name(consent)}.txt",
            }
            for consent in Consent.objects.filter(user=user).select_related("text").order_by("given", "pk")
        ],
        "notifications": list(
            Notification.objects.filter(user=user)
            .order_by("created", "pk")
            .values("kind", "subject", "data", "created", "read", "emailed")
        ),
        # Without the secrets: they are stored as hashes, or give access to the account.
        "api_tokens": list(AuthToken.objects.filter(user=user).values("created", "expiry")),
        "second_steps": list(Authenticator.objects.filter(user=user).values("type", "created_at", "last_used_at")),
    }


def _consent_name(consent: Consent) -> str:
    return f"{consent.text.purpose}-{consent.text.version}"


def _lesions(user: User) -> Iterator[Lesion]:
    return iter(Lesion.objects.filter(owner=user).order_by("created", "pk").prefetch_related("reminders"))


def _spot(lesion: Lesion) -> dict[str, Any]:
    return {
        "id": lesion.pk,
        "name": lesion.name,
        "anatom_site_general": lesion.anatom_site_general,
        "body_view": lesion.body_view,
        "body_x": lesion.body_x,
        "body_y": lesion.body_y,
        "created": lesion.created,
        "reminders": [
            {name: getattr(reminder, name) for name in ("months", "due", "created", "sent", "ended")}
            for reminder in lesion.reminders.all()
        ],
    }


def _photos(user: User) -> Iterator[Photo]:
    """The user's photos with related rows, oldest first, `ROWS` at a time."""
    photos = (
        Photo.objects.filter(owner=user)
        .order_by("created", "pk")
        .select_related("history", "recognised_as")
        .prefetch_related(
            "predictions__classifier", "predictions__assessments", "histories", "findings", "readings", "share_links"
        )
    )
    return photos.iterator(chunk_size=ROWS)


def _folder(photo: Photo) -> str:
    return f"photos/{timezone.localtime(photo.created):%Y-%m-%d}-{photo.pk}"


def _heatmap(photo: Photo, prediction: Prediction) -> str:
    return f"{_folder(photo)}/heatmap-{prediction.pk}.png"


def _files(user: User) -> Iterator[tuple[str, str]]:
    """Names in the archive and on the storage: pictures, and heatmaps of predictions that the patient may see: those
    with an assessment that was not refused.
    """
    for photo in _photos(user):
        yield f"{_folder(photo)}/photo.jpg", photo.image.name or ""
        for prediction in photo.predictions.all():
            refused = all(assessment.is_refused for assessment in prediction.assessments.all())
            if prediction.heatmap.name and not refused:
                yield _heatmap(photo, prediction), prediction.heatmap.name


def _photo(photo: Photo) -> dict[str, Any]:
    truth = photo.ground_truth
    return {
        "id": photo.pk,
        "created": photo.created,
        "spot": photo.lesion_id,
        "file": f"{_folder(photo)}/photo.jpg",
        "file_name": photo.shown_name,
        "width": photo.width,
        "height": photo.height,
        "sha256": photo.sha256,
        "age_approx": photo.age_approx,
        "sex": photo.sex,
        "anatom_site_general": photo.anatom_site_general,
        "image_type": photo.image_type,
        "history": _history(photo.history),
        "earlier_histories": [
            _history(each)
            for each in sorted(photo.histories.all(), key=lambda h: (h.created, h.pk))
            if each.pk != photo.history_id
        ],
        "status": photo.status,
        "failure_code": photo.failure_code,
        "decision": photo.decision,
        "predictions": [_prediction(photo, each) for each in sorted(photo.predictions.all(), key=lambda p: p.created)],
        "known_as": None if truth is None else {"diagnosis": truth.diagnosis, "source": truth.source},
        "findings": [
            {name: getattr(finding, name) for name in ("diagnosis", "source", "note", "created")}
            for finding in sorted(photo.findings.all(), key=lambda f: (f.created, f.pk))
        ],
        "review": _review(photo),
        "share_links": [
            {name: getattr(link, name) for name in ("label", "created", "expires", "revoked", "times_opened")}
            for link in photo.share_links.all()
        ],
    }


def _history(history: PhotoHistory | None) -> dict[str, Any] | None:
    if history is None:
        return None
    answers = model_to_dict(history, exclude=["id", "photo"])
    return {"told": history.created, **answers, "checklist_score": history.checklist_score}


def _prediction(photo: Photo, prediction: Prediction) -> dict[str, Any]:
    assessments = sorted(prediction.assessments.all(), key=lambda each: each.created)
    said: dict[str, Any] = {
        "classifier": prediction.classifier.version,
        "created": prediction.created,
        "assessments": [_assessment(each, is_current=each.pk == photo.assessment_id) for each in assessments],
    }
    if not all(each.is_refused for each in assessments):
        said["heatmap"] = _heatmap(photo, prediction) if prediction.heatmap.name else None
    return said


def _assessment(row: PhotoAssessment, *, is_current: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "created": row.created,
        "current": is_current,
        "image_type": row.image_type,
        "image_type_source": row.image_type_source,
        "contradicted": row.contradicted,
        "metadata": row.metadata,
        "decision": row.decision,
        "refused": row.is_refused,
    }
    if row.is_refused:
        # The reason of the refusal, without the network's answer.
        gates = (row.assessment or {}).get("gates", [])
        return {**answer, "gates": gates}
    return {
        **answer,
        "picture_decision": row.picture_decision,
        "used": row.used,
        "case_mix": row.case_mix,
        "diagnosis": row.diagnosis,
        "confidence": row.confidence,
        "probabilities": row.by_code,
        "picture_alone": row.picture_alone_by_code,
        "malignant_score": row.malignant_score,
        "score": row.score,
        "assessment": row.assessment,
    }


def _review(photo: Photo) -> dict[str, Any]:
    """The review, with its readings only if the photo is settled: other readers must stay blind until then."""
    settled = photo.review_state == Photo.ReviewState.READ
    return {
        "state": photo.review_state,
        "requested": photo.review_requested,
        "closed": photo.review_closed,
        "readings": [
            {
                name: getattr(reading, name)
                for name in ("role", "answer", "diagnosis", "management", "monitor_months", "note", "recorded")
            }
            for reading in photo.readings.all()
            if settled and reading.recorded is not None
        ],
    }
