"""The permissions of every URL (RELIABILITY R8).

For every URL of the site, six kinds of people and every method, the response equals the table below. A URL without a
row fails, a row without a URL fails, and a refused request reveals and changes nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from knox.models import AuthToken

from accounts.models import AuditEntry, Consent, ConsentText, Notification, Purpose, Role, User
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.models import Lesion, Reminder
from diagnoses.monitoring.models import BackupRecord, ClassifierAlarm
from diagnoses.photos.models import KnownImage, Photo, PhotoAssessment, Prediction, Worker
from diagnoses.photos.predictions import claim_photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.models import Finding, Reading
from diagnoses.sharing.models import ShareLink
from diagnoses.similar.models import FeatureIndex, ReferencePicture
from tests.diagnoses.answers import record_answer

PEOPLE: Final = ("anonymous", "owner", "other", "clinician", "administrator", "deactivated")
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

LOGIN: Final = "login"  # sent to the sign-in page
GONE: Final = "elsewhere"  # sent on to another page
FINE: Final = "any"  # any answer to an administrator's form or missing object, but no server error

# The expected answers for the six, in the order of PEOPLE.
Expected = tuple[int | str, int | str, int | str, int | str, int | str, int | str]
EVERYBODY: Final[Expected] = (200, 200, 200, 200, 200, 200)
NOBODY: Final[Expected] = (405, 405, 405, 405, 405, 405)
NOT_THERE: Final[Expected] = (404, 404, 404, 404, 404, 404)
SIGNED_IN: Final[Expected] = (LOGIN, 200, 200, 200, 200, LOGIN)
SIGNED_IN_SENT_ON: Final[Expected] = (LOGIN, GONE, GONE, GONE, GONE, LOGIN)
SIGNED_IN_NOT_THERE: Final[Expected] = (LOGIN, 404, 404, 404, 404, LOGIN)
SIGNED_IN_NOT_SO: Final[Expected] = (LOGIN, 405, 405, 405, 405, LOGIN)
SIGNED_IN_ALREADY: Final[Expected] = (200, GONE, GONE, GONE, GONE, 200)
SENT_ON: Final[Expected] = (GONE, GONE, GONE, GONE, GONE, GONE)
SEES_PHOTO: Final[Expected] = (LOGIN, 200, 404, 200, 200, LOGIN)
OWNER_PAGE: Final[Expected] = (LOGIN, 200, 404, 403, 403, LOGIN)
CLINICIANS: Final[Expected] = (LOGIN, 404, 404, 200, 200, LOGIN)
ADMIN_READS: Final[Expected] = (LOGIN, LOGIN, LOGIN, LOGIN, 200, LOGIN)
ADMIN_REFUSED: Final[Expected] = (LOGIN, LOGIN, LOGIN, LOGIN, 403, LOGIN)
ADMIN_SENT_ON: Final[Expected] = (LOGIN, LOGIN, LOGIN, LOGIN, GONE, LOGIN)
ADMIN_ANY: Final[Expected] = (LOGIN, LOGIN, LOGIN, LOGIN, FINE, LOGIN)
API_SEES: Final[Expected] = (401, 200, 404, 200, 200, 401)
API_ALL: Final[Expected] = (401, 200, 200, 200, 200, 401)
API_NOT_SO: Final[Expected] = (401, 405, 405, 405, 405, 401)


@dataclass(frozen=True)
class Row:
    """Expected answers by method; `other` for the methods not named. `arguments` names objects of the `world`."""

    by_method: dict[str, Expected]
    other: Expected = NOBODY
    arguments: dict[str, str] = field(default_factory=dict)


def page(**by_method: Expected) -> Row:
    """A page of ours: nobody may use a method that it does not have."""
    return Row(by_method)


def photo_page(**by_method: Expected) -> Row:
    """A page of the patient's photo."""
    return Row(by_method, NOBODY, {"photo_id": "photo"})


def lesion_page(**by_method: Expected) -> Row:
    """A page of the patient's spot."""
    return Row(by_method, NOBODY, {"lesion_id": "lesion"})


def api(**by_method: Expected) -> Row:
    return Row(by_method, API_NOT_SO)


def photo_api(**by_method: Expected) -> Row:
    return Row(by_method, API_NOT_SO, {"photo_id": "photo"})


def lesion_api(**by_method: Expected) -> Row:
    return Row(by_method, API_NOT_SO, {"lesion_id": "lesion"})


def account(get: Expected, post: Expected = NOBODY, other: Expected = NOBODY, **arguments: str) -> Row:
    """A page of allauth, which takes PUT for POST where it takes POST."""
    return Row({"GET": get, "POST": post} | ({} if post == NOBODY else {"PUT": post}), other, arguments)


def admin_page(**by_method: Expected) -> Row:
    """A page of the admin: everybody else is redirected to the sign-in page, for every method."""
    return Row(by_method, ADMIN_ANY)


def admin_model(
    model: str, *, key: str, adds: bool = False, changes: bool = False, deletes: bool = False
) -> dict[str, Row]:
    """The six URLs of a model in the admin. Read-only unless given otherwise."""
    on_object = {"object_id": key}
    refused = {"GET": ADMIN_REFUSED, "POST": ADMIN_REFUSED}
    return {
        f"admin:{model}_changelist": admin_page(GET=ADMIN_READS),
        f"admin:{model}_history": Row({"GET": ADMIN_READS}, ADMIN_ANY, on_object),
        f"admin:{model}_add": admin_page(GET=ADMIN_READS) if adds else admin_page(**refused),
        f"admin:{model}_delete": Row({"GET": ADMIN_READS} if deletes else refused, ADMIN_ANY, on_object),
        f"admin:{model}_change": Row(
            {"GET": ADMIN_READS} if changes else {"GET": ADMIN_READS, "POST": ADMIN_REFUSED}, ADMIN_ANY, on_object
        ),
        # The old URL of the change page.
        f"admin:{model}": Row({"GET": ADMIN_SENT_ON}, ADMIN_ANY, on_object),
    }


TABLE: Final[dict[str, Row]] = {
    # --- Pages
    "home": page(GET=SIGNED_IN_ALREADY),
    "about": page(GET=EVERYBODY),
    # Anybody may change the language; without a language it is a bad request.
    "switch-language": page(POST=(400, 400, 400, 400, 400, 400)),
    "account": page(GET=SIGNED_IN),
    "account-profile": page(GET=SIGNED_IN, POST=SIGNED_IN_SENT_ON),
    "account-privacy": page(GET=SIGNED_IN, POST=(LOGIN, 400, 400, 400, 400, LOGIN)),
    # Patients who have agreed, and clinicians, are not asked for consent.
    "consent": page(GET=SIGNED_IN_SENT_ON, POST=SIGNED_IN_SENT_ON),
    "account-notifications": page(GET=SIGNED_IN, POST=SIGNED_IN_SENT_ON),
    "account-notification-count": page(GET=SIGNED_IN),
    "account-notification": Row(
        {"GET": (LOGIN, GONE, 404, 404, 404, LOGIN)}, NOBODY, {"notification_id": "notification"}
    ),
    "account-looks": page(GET=SIGNED_IN),
    "account-export": page(GET=SIGNED_IN, POST=SIGNED_IN),
    "account-erase": page(GET=SIGNED_IN, POST=(LOGIN, 422, 422, 422, 422, LOGIN)),
    "account-erased": page(GET=EVERYBODY),
    "lesion-list": page(GET=SIGNED_IN),
    "lesion-new": page(GET=SIGNED_IN, POST=(LOGIN, 422, 422, 422, 422, LOGIN)),
    "photos-move": page(POST=(LOGIN, 422, 422, 422, 422, LOGIN)),
    "lesion": lesion_page(GET=SEES_PHOTO),
    "lesion-compare": lesion_page(GET=SEES_PHOTO),
    "lesion-edit": lesion_page(GET=OWNER_PAGE, POST=(LOGIN, 422, 404, 403, 403, LOGIN)),
    "lesion-delete": lesion_page(GET=OWNER_PAGE, POST=(LOGIN, GONE, 404, 403, 403, LOGIN)),
    "lesion-reminder": lesion_page(POST=(LOGIN, GONE, 404, 403, 403, LOGIN)),
    "photo-list": page(GET=SIGNED_IN),
    "photo-new": page(GET=SIGNED_IN, POST=(LOGIN, 422, 422, 422, 422, LOGIN)),
    "review-list": page(GET=CLINICIANS),
    "review-next": page(GET=(LOGIN, 404, 404, GONE, GONE, LOGIN)),
    "review-export": page(GET=CLINICIANS),
    "review-agreement": page(GET=CLINICIANS),
    # Not begun, so a final answer is redirected to the page.
    "reading": photo_page(GET=CLINICIANS, POST=(LOGIN, 404, 404, GONE, GONE, LOGIN)),
    "reading-second": photo_page(POST=(LOGIN, 404, 404, GONE, GONE, LOGIN)),
    "reading-settle": photo_page(POST=(LOGIN, 404, 404, GONE, GONE, LOGIN)),
    "reading-agreed": photo_page(POST=(LOGIN, 404, 404, GONE, GONE, LOGIN)),
    "reading-histopathology": photo_page(POST=(LOGIN, 404, 404, 422, 422, LOGIN)),
    "reference-picture": Row({"GET": CLINICIANS}, NOBODY, {"picture_id": "reference"}),
    "photo": photo_page(GET=SEES_PHOTO),
    # Without htmx the fragment redirects to its page.
    "photo-status": photo_page(GET=(LOGIN, GONE, 404, GONE, GONE, LOGIN)),
    "photo-image": photo_page(GET=SEES_PHOTO),
    "photo-thumbnail": photo_page(GET=SEES_PHOTO),
    "photo-heatmap": photo_page(GET=SEES_PHOTO),
    "photo-delete": photo_page(GET=OWNER_PAGE, POST=(LOGIN, GONE, 404, 403, 403, LOGIN)),
    "photo-history": photo_page(GET=OWNER_PAGE, POST=(LOGIN, 422, 404, 403, 403, LOGIN)),
    "photo-image-type": photo_page(POST=(LOGIN, GONE, 404, GONE, GONE, LOGIN)),
    "photo-retry": photo_page(POST=(LOGIN, GONE, 404, GONE, GONE, LOGIN)),
    "photo-repredict": photo_page(POST=(LOGIN, 404, 404, GONE, GONE, LOGIN)),
    "photo-finding": photo_page(POST=(LOGIN, 404, 404, 422, 422, LOGIN)),
    "photo-request-review": photo_page(POST=(LOGIN, GONE, 404, 403, 403, LOGIN)),
    "photo-report": photo_page(GET=SEES_PHOTO),
    "photo-share": photo_page(GET=OWNER_PAGE, POST=(LOGIN, 422, 404, 403, 403, LOGIN)),
    "photo-share-revoke": Row(
        {"POST": (LOGIN, GONE, 404, 403, 403, LOGIN)}, NOBODY, {"photo_id": "photo", "link_id": "link"}
    ),
    # Share links need no account; tests/diagnoses/sharing/test_sharing.py tests what they show.
    "shared": Row({"GET": NOT_THERE}, NOBODY, {"token": "word"}),
    "shared-image": Row({"GET": NOT_THERE}, NOBODY, {"token": "word"}),
    "shared-heatmap": Row({"GET": NOT_THERE}, NOBODY, {"token": "word"}),
    "shared-report": Row({"GET": NOT_THERE}, NOBODY, {"token": "word"}),
    # --- Health: for load balancers, without sign-in
    "health-live": page(GET=EVERYBODY),
    "health-ready": page(GET=(503, 503, 503, 503, 503, 503)),
    # --- API
    "api-token": Row({"POST": (400, 400, 400, 400, 400, 400), "DELETE": (401, 400, 400, 400, 400, 401)}, API_NOT_SO),
    "api-photos": api(GET=API_ALL, POST=(401, 400, 400, 400, 400, 401)),
    "api-photo": photo_api(GET=API_SEES, PATCH=(401, 400, 404, 400, 400, 401), DELETE=(401, 204, 404, 403, 403, 401)),
    "api-photo-retry": photo_api(POST=(401, 409, 404, 409, 409, 401)),
    "api-photo-findings": photo_api(GET=(401, 403, 404, 200, 200, 401), POST=(401, 403, 404, 400, 400, 401)),
    "api-photo-image": photo_api(GET=API_SEES),
    "api-photo-thumbnail": photo_api(GET=API_SEES),
    "api-photo-heatmap": photo_api(GET=API_SEES),
    "api-photo-history": photo_api(POST=(401, 400, 404, 403, 403, 401)),
    "api-photo-review": photo_api(GET=API_SEES, POST=(401, 409, 404, 403, 403, 401)),
    "api-photo-readings": photo_api(GET=(401, 403, 404, 200, 200, 401), POST=(401, 403, 404, 201, 409, 401)),
    "api-photo-reading-blind": photo_api(POST=(401, 403, 404, 400, 404, 401)),
    "api-photo-reading-final": photo_api(POST=(401, 403, 404, 400, 404, 401)),
    "api-photo-share-links": photo_api(GET=(401, 200, 404, 403, 403, 401), POST=(401, 400, 404, 403, 403, 401)),
    "api-photo-share-link": Row(
        {"DELETE": (401, 204, 404, 403, 403, 401)}, API_NOT_SO, {"photo_id": "photo", "link_id": "link"}
    ),
    "api-lesions": api(GET=API_ALL, POST=(401, 400, 400, 400, 400, 401)),
    "api-lesion": lesion_api(GET=API_SEES, PUT=(401, 400, 404, 403, 403, 401), DELETE=(401, 204, 404, 403, 403, 401)),
    "api-lesion-reminder": lesion_api(
        GET=(401, 200, 404, 403, 403, 401),
        POST=(401, 400, 404, 403, 403, 401),
        DELETE=(401, 204, 404, 403, 403, 401),
    ),
    "api-notifications": api(GET=API_ALL),
    "api-notifications-read": api(POST=API_ALL),
    "api-account-export": api(GET=API_ALL),
    "api-schema": page(GET=EVERYBODY),
    "api-docs": page(GET=EVERYBODY),
    "api-nothing": Row({}, NOT_THERE),
    # --- Accounts (allauth): sign-up is open, everything else concerns the user's own account
    "account_login": account(SIGNED_IN_ALREADY, SIGNED_IN_ALREADY, (405, GONE, GONE, GONE, GONE, 405)),
    "account_signup": account(SIGNED_IN_ALREADY, SIGNED_IN_ALREADY, (405, GONE, GONE, GONE, GONE, 405)),
    "account_logout": Row({"GET": (GONE, 200, 200, 200, 200, GONE), "POST": SENT_ON}),
    "account_inactive": account(EVERYBODY),
    "account_reauthenticate": account(SIGNED_IN, SIGNED_IN, SIGNED_IN_NOT_SO),
    "account_email": account(SIGNED_IN, SIGNED_IN_SENT_ON, SIGNED_IN_NOT_SO),
    "account_email_verification_sent": account(EVERYBODY),
    "account_change_password": account(SIGNED_IN, SIGNED_IN, SIGNED_IN_NOT_SO),
    # For accounts without a password, of which there are none here.
    "account_set_password": account(SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON),
    "account_reset_password": account(EVERYBODY, EVERYBODY),
    "account_reset_password_done": account(EVERYBODY),
    # An invented link: the page says that it is not valid.
    "account_reset_password_from_key": account(EVERYBODY, EVERYBODY, EVERYBODY, uidb36="zero", key="word"),
    "account_reset_password_from_key_done": account(EVERYBODY),
    "account_confirm_email": Row({"GET": EVERYBODY, "POST": NOT_THERE}, NOBODY, {"key": "word"}),
    # Codes by e-mail are not switched on.
    "account_confirm_login_code": account(SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON),
    "mfa_index": account(SIGNED_IN, SIGNED_IN_NOT_SO, SIGNED_IN_NOT_SO),
    # The rest asks for the password again, or for a second factor that none of the six has.
    "mfa_authenticate": account(SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON),
    "mfa_reauthenticate": account(SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON),
    "mfa_activate_totp": account(SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON),
    "mfa_deactivate_totp": account(SIGNED_IN_NOT_THERE, SIGNED_IN_NOT_THERE, SIGNED_IN_NOT_THERE),
    "mfa_view_recovery_codes": account(SIGNED_IN_NOT_THERE, SIGNED_IN_NOT_SO, SIGNED_IN_NOT_SO),
    "mfa_generate_recovery_codes": account(SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON, SIGNED_IN_SENT_ON),
    "mfa_download_recovery_codes": account(SIGNED_IN_NOT_THERE, SIGNED_IN_NOT_THERE, SIGNED_IN_NOT_THERE),
    # --- The admin
    "admin:index": admin_page(GET=ADMIN_READS),
    # The admin uses the site's sign-in page, and answers 403 to signed-in users who are not administrators.
    "admin:login": Row({}, (LOGIN, 403, 403, 403, FINE, LOGIN)),
    "admin:logout": Row({}, (GONE, GONE, GONE, GONE, FINE, GONE)),
    # The site's own page changes it.
    "admin:password_change": admin_page(GET=ADMIN_SENT_ON),
    "admin:password_change_done": admin_page(GET=ADMIN_SENT_ON),
    "admin:autocomplete": admin_page(GET=ADMIN_REFUSED),
    "admin:jsi18n": admin_page(GET=ADMIN_READS),
    "admin:view_on_site": Row({}, ADMIN_ANY, {"content_type_id": "zero", "object_id": "zero"}),
    "admin:app_list": Row({"GET": ADMIN_READS}, ADMIN_ANY, {"app_label": "app"}),
    "admin:nothing": Row({}, ADMIN_ANY, {"url": "word"}),
    **admin_model("account_emailaddress", key="email", adds=True, changes=True, deletes=True),
    **admin_model("accounts_user", key="owner", adds=True, changes=True),
    **admin_model("accounts_auditentry", key="entry"),
    "admin:accounts_auditentry_export": admin_page(GET=ADMIN_READS),
    **admin_model("accounts_consenttext", key="consent_text", adds=True),
    **admin_model("accounts_notification", key="notification"),
    **admin_model("diagnoses_photo", key="photo"),
    **admin_model("diagnoses_prediction", key="prediction"),
    **admin_model("diagnoses_photoassessment", key="assessment"),
    **admin_model("diagnoses_finding", key="finding"),
    **admin_model("diagnoses_reading", key="reading"),
    **admin_model("diagnoses_sharelink", key="link"),
    **admin_model("diagnoses_reminder", key="reminder"),
    **admin_model("diagnoses_backuprecord", key="backup"),
    "admin:diagnoses_classifier_drift": admin_page(GET=ADMIN_READS),
    **admin_model("diagnoses_lesion", key="lesion"),
    **admin_model("diagnoses_classifier", key="classifier"),
    **admin_model("diagnoses_knownimage", key="known"),
    **admin_model("diagnoses_worker", key="worker"),
    **admin_model("diagnoses_featureindex", key="index"),
    **admin_model("diagnoses_classifieralarm", key="alarm"),
    # The registry of training adds promotion to this page; its own tests check that.
    "admin:diagnoses_classifier_change": Row({"GET": ADMIN_READS}, ADMIN_ANY, {"object_id": "classifier"}),
}
# Differences between token and session: a token can be deleted, and an invalid one is refused even on open URLs.
TOKEN_TABLE: Final[dict[str, Row]] = {name: row for name, row in TABLE.items() if name.startswith("api-")} | {
    "api-token": Row({"POST": (400, 400, 400, 400, 400, 400), "DELETE": (401, 204, 204, 204, 204, 401)}, API_NOT_SO),
    "api-schema": Row({"GET": (200, 200, 200, 200, 200, 401)}, (405, 405, 405, 405, 405, 401)),
    "api-docs": Row({"GET": (200, 200, 200, 200, 200, 401)}, (405, 405, 405, 405, 405, 401)),
}
# Training is only for administrators: its URLs refuse everybody else. Its own tests cover the rest, also the steps of
# promotion that training's registry adds to the classifiers' pages.
ADMINISTRATORS_ONLY: Final = re.compile(r"admin:(training_\w+|diagnoses_classifier_(ask|card|promote|roll_back))")

# Data that must not be in any response to people who may not see photo A.
SECRETS: Final = (
    "secret-spot",
    "patient.a@example.org",
    "Secret lesion",
    "secret note",
    "Patient Alpha",
    "ISIC_SECRET",
)


@pytest.fixture
def world(db: None) -> dict[str, Any]:
    """One patient's predicted photo with everything that belongs to it, and the six people."""
    people = {
        "owner": User.objects.create_user("patient.a@example.org", "correct horse", name="Patient Alpha"),
        "other": User.objects.create_user("patient.b@example.org", "correct horse"),
        "clinician": User.objects.create_user("clinician@example.org", "correct horse", role=Role.CLINICIAN),
        "administrator": User.objects.create_user("admin@example.org", "correct horse", role=Role.ADMINISTRATOR),
        "deactivated": User.objects.create_user("gone@example.org", "correct horse", role=Role.ADMINISTRATOR),
    }
    owner = people["owner"]
    for patient in (owner, people["other"]):
        Consent.objects.create(user=patient, text=ConsentText.objects.get(purpose=Purpose.DIAGNOSIS))
    classifier = Classifier.objects.create(
        version="v1", sha256="c" * 64, manifest={}, stage=Classifier.Stage.LIVE, promoted=timezone.now()
    )
    known = KnownImage.objects.create(
        dataset="Set", image="ISIC_SECRET", diagnosis="NV", original_sha256="a" * 64, content_hash=bytes(32)
    )
    lesion = Lesion.objects.create(owner=owner, name="Secret lesion")
    photo = Photo.objects.create(
        owner=owner,
        lesion=lesion,
        image=default_storage.save("photos/matrix/photo.jpg", ContentFile(b"pixels")),
        thumbnail=default_storage.save("photos/matrix/thumbnail.jpg", ContentFile(b"pixels")),
        width=160,
        height=120,
        sha256="1" * 64,
        original_sha256="2" * 64,
        original_format="JPEG",
        shown_name="secret-spot.jpg",
        content_hash=bytes(32),
        recognised_as=known,
    )
    claim = claim_photo(photo.pk)
    assert claim is not None
    assessment = record_answer(claim, classifier, [0.125] * 8, heatmap=b"png")
    assert assessment is not None
    finding = record_finding(
        photo=photo, by=people["clinician"], diagnosis="MEL", source="histopathology", note="secret note"
    )
    worker = Worker.objects.create(name="worker", last_seen=timezone.now())
    reference = ReferencePicture.objects.create(original_sha256="a" * 64, jpeg=b"pixels", width=1, height=1)
    index = FeatureIndex.objects.create(classifier=classifier)
    alarm = ClassifierAlarm.objects.create(classifier=classifier, code="constant")
    reading = Reading.objects.create(photo=photo, reader=people["clinician"], role=Reading.Role.FIRST)
    reminder = Reminder.objects.create(lesion=lesion, months=3, due=timezone.localdate())
    link = ShareLink.objects.create(
        photo=photo, token_sha256="e" * 64, made_by=owner, expires=timezone.now() + timedelta(days=1)
    )
    text = ConsentText.objects.create(purpose="training", version=99, text_kk="kk", text_ru="ru", text_en="en")
    backup = BackupRecord.objects.create()
    email = EmailAddress.objects.create(user=owner, email=owner.email, primary=True, verified=True)
    told = Notification.objects.create(
        user=owner, kind="result", subject=f"photo:{photo.pk}", path="/about/", key="matrix", data={"spot": lesion.name}
    )
    objects: dict[str, Any] = {
        "photo": photo.pk, "lesion": lesion.pk, "classifier": classifier.pk, "known": known.pk, "worker": worker.pk,
        "prediction": assessment.prediction_id, "assessment": assessment.pk, "finding": finding.pk, "email": email.pk,
        "owner": owner.pk,
        "reference": reference.pk, "index": index.pk, "alarm": alarm.pk, "reading": reading.pk,
        "reminder": reminder.pk, "link": link.pk, "notification": told.pk, "consent_text": text.pk,
        "backup": backup.pk,
        "entry": AuditEntry.objects.latest("pk").pk, "zero": 0, "word": "word", "app": "diagnoses",
    }  # fmt: skip
    return {"people": people, "objects": objects}


@dataclass(frozen=True)
class Address:
    """One URL of the site: its name in the table and its pattern."""

    name: str
    pattern: str


def addresses() -> Iterator[Address]:
    """Every URL of the resolver."""

    def walk(patterns: list[Any], prefix: str, namespace: str) -> Iterator[Address]:
        for entry in patterns:
            path = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
                yield from walk(entry.url_patterns, path, inner)
            else:
                assert isinstance(entry, URLPattern)
                yield Address(namespace + (entry.name or _nameless(path)), path)

    yield from walk(get_resolver().url_patterns, "", "")


def _nameless(path: str) -> str:
    """Names for the two kinds of admin URLs that have none."""
    model = re.fullmatch(r"admin/(\w+)/(\w+)/<path:object_id>/", path)
    return f"{model[1]}_{model[2]}" if model else "nothing"


ADDRESSES: Final = {address.name: address for address in addresses()}


def path_to(name: str, arguments: dict[str, Any]) -> str:
    """The URL with these arguments."""
    pattern = ADDRESSES[name].pattern
    if name == "admin:nothing":
        return "/admin/word"
    if re.fullmatch(r"admin:\w+", name) and pattern.endswith("<path:object_id>/"):
        return "/" + pattern.replace("<path:object_id>", str(arguments["object_id"]))
    if name == "api-nothing":
        return "/api/v1/nowhere/"
    return reverse(name, kwargs=arguments)


WATCHED: Final = (
    Photo, PhotoAssessment, Prediction, Finding, Lesion, User, Classifier, KnownImage, AuditEntry, Reading, Reminder,
    ShareLink, Notification, ConsentText, BackupRecord,
)  # fmt: skip


def snapshot() -> list[Any]:
    """A digest of all rows that a refused request must not change. One query."""
    digest = "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {} t"
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(digest.format(model._meta.db_table) for model in WATCHED))
        return list(cursor.fetchall())


@pytest.fixture(scope="module")
def browser() -> Client:
    """One client for all tests: creating one loads all middleware, which is slower than a request."""
    return Client(raise_request_exception=False)


def keys_of(world: dict[str, Any], *, token: bool) -> dict[str, dict[str, str]]:
    """The credentials of each person: a session cookie or a token, created once."""
    keys: dict[str, dict[str, str]] = {"anonymous": {}}
    for person, user in world["people"].items():
        if token:
            keys[person] = {"Authorization": f"Token {AuthToken.objects.create(user=user)[1]}"}
        else:
            signed_in = Client()
            signed_in.force_login(user)
            keys[person] = {"Cookie": f"sessionid={signed_in.cookies['sessionid'].value}"}
    # They had signed in; then an administrator switched the account off.
    User.objects.filter(pk=world["people"]["deactivated"].pk).update(is_active=False)
    return keys


def verdict(response: Any) -> int | str:
    """The status; for redirects whether they lead to the sign-in page or elsewhere."""
    if response.status_code not in {301, 302}:
        return int(response.status_code)
    to_login = response.headers["Location"].split("?")[0] in {reverse(settings.LOGIN_URL), reverse("admin:login")}
    return LOGIN if to_login else GONE


def is_refusal(outcome: int | str) -> bool:
    return outcome == LOGIN or (isinstance(outcome, int) and 400 <= outcome < 500)


def questions(row: Row) -> Iterator[tuple[int, str, str]]:
    """Every person with every method in the row. Other methods only with the first person, a stranger, and the last."""
    for number, person in enumerate(PEOPLE):
        for method in METHODS:
            if method in row.by_method or person in {"anonymous", "other", "administrator"}:
                yield number, person, method


def check(name: str, row: Row, browser: Client, world: dict[str, Any], *, token: bool = False) -> list[str]:
    """Send the requests of all people and methods. Returns the differences from the row as text."""
    path = path_to(name, {word: world["objects"][key] for word, key in row.arguments.items()})
    keys = keys_of(world, token=token)
    before = snapshot()
    wrong = []
    for number, person, method in questions(row):
        expected = row.by_method.get(method, row.other)[number]
        with transaction.atomic():
            browser.cookies.clear()
            response: Any = browser.generic(method, path, headers=keys[person])
            body = b"".join(response) if response.streaming else response.content
            outcome = verdict(response)
            if is_refusal(outcome) and snapshot() != before:
                wrong.append(f"{method} {path} as {person} was refused and changed something")
            transaction.set_rollback(True)
        if outcome != expected and not (expected == FINE and (outcome in {LOGIN, GONE} or int(outcome) < 500)):
            wrong.append(f"{method} {path} as {person}: {outcome}, expected {expected}")
        if person in {"anonymous", "other", "deactivated"}:
            wrong += [f"{method} {path} tells {person}: {secret}" for secret in SECRETS if secret.encode() in body]
    return wrong


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    without = {name for name in ADDRESSES if name not in TABLE and not ADMINISTRATORS_ONLY.fullmatch(name)}
    assert not without, f"addresses without a row: {sorted(without)}"
    gone = set(TABLE) - set(ADDRESSES)
    assert not gone, f"rows without an address: {sorted(gone)}"
    listed = [address.name for address in addresses()]
    assert len(listed) == len(set(listed)), "two addresses of one name: one of them is not checked"


@pytest.mark.parametrize("name", sorted(TABLE))
def test_everybody_gets_what_the_table_says(name: str, browser: Client, world: dict[str, Any]) -> None:
    wrong = check(name, TABLE[name], browser, world)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", sorted(TOKEN_TABLE))
def test_a_token_opens_no_more_than_a_session(name: str, browser: Client, world: dict[str, Any]) -> None:
    wrong = check(name, TOKEN_TABLE[name], browser, world, token=True)
    assert not wrong, "\n".join(wrong)


def test_training_answers_administrators_alone(browser: Client, world: dict[str, Any]) -> None:
    keys = keys_of(world, token=False)
    own = [address for name, address in ADDRESSES.items() if ADMINISTRATORS_ONLY.fullmatch(name)]
    wrong = []
    for address in own:
        # The object need not exist: others than administrators are refused before the lookup.
        path = "/" + re.sub(r"<int:\w+>", "1", re.sub(r"<(?!int:)\w+:\w+>", "word", address.pattern))
        for person in (person for person in PEOPLE if person != "administrator"):
            for method in ("GET", "POST"):
                browser.cookies.clear()
                response = browser.generic(method, path, headers=keys[person])
                if verdict(response) != LOGIN:
                    wrong.append(f"{method} {path} as {person}: {response.status_code}")
    assert own
    assert not wrong, "\n".join(wrong)


def test_lists_and_counts_tell_a_patient_nothing_of_another(browser: Client, world: dict[str, Any]) -> None:
    """Lists do not reveal other people's objects: patient B sees the same lists as without patient A."""
    keys = keys_of(world, token=False)

    def listed(path: str) -> bytes:
        browser.cookies.clear()
        response = browser.get(path, headers=keys["other"])
        assert response.status_code == 200
        # Hidden fields differ on every page (CSRF token, idempotency key).
        return re.sub(rb'<input type="hidden"[^>]*>', b"", bytes(response.content))

    names = ("lesion-list", "photo-list", "photo-new", "api-photos", "api-lesions")
    paths = [reverse(name) for name in names]
    with_others = [listed(path) for path in paths]
    with transaction.atomic():
        Photo.objects.all().delete()
        Lesion.objects.all().delete()
        alone = [listed(path) for path in paths]
        transaction.set_rollback(True)
    assert with_others == alone
