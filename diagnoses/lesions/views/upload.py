"""The upload page: checks the form and calls `submit_photo` for each file.

A plain form sends several photos in one request. With JavaScript (static/js/upload.js) each photo is a separate request
that accepts JSON, so that the page can show progress and errors of each photo.
"""

import contextlib
import hashlib
import json
import logging
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from accounts.models import Profile
from accounts.services import ConsentRequired, needs_consent
from accounts.views.access import SignedInRequest, signed_in
from diagnoses.classifiers.models import Classifier
from diagnoses.labels import GATE_REASONS
from diagnoses.lesions.forms import HistoryForm
from diagnoses.lesions.services import create_lesion
from diagnoses.lesions.upload_form import PhotoForm, too_large, words_for
from diagnoses.photos.models import Photo
from diagnoses.photos.services import IdempotencyConflict, PhotoMetadata, submit_photo
from diagnoses.site.errors import is_storage_full
from recognition.inference.bundle import image_type_blocks
from recognition.inference.preprocessing import REFERENCE_LONG_SIDE
from recognition.inference.quality import DEFAULT_LIMITS, QualityLimits
from recognition.sandbox import IntakeLimits, PhotoRejected
from recognition.taxonomy import AGE_MAX

# A generous limit for the rest of a multipart body: boundaries, names and the other fields.
BODY_ALLOWANCE: Final = 64 * 1024
# A plain form with several photos: three of the largest, or ten of the size that phones make.
MAX_BODY: Final = 3 * IntakeLimits().max_bytes + BODY_ALLOWANCE
# A browser shows the response only after its body was read. This much of a too large body is read and dropped; for
# larger bodies the connection is closed.
POLITE_BYTES: Final = 100 * 2**20
CHUNK: Final = 2**18
# After this many seconds the remaining photos of a plain form are refused, because the user waits for the page.
PATIENCE: Final = 40.0

STORAGE_FULL: Final = _(
    "There is no room for another photo at the moment. Nothing was stored; please try again in a few minutes."
)
NO_TIME: Final = _("There was no time left for this photo. Please send it again.")
CONSENT_NEEDED: Final = _(
    "Before a photo can be stored, please agree to the text about what happens with it: in your account, under "
    "“Privacy”. Then send the photo again."
)
DATABASE_LOST: Final = _(
    "The site lost its database for a moment. Please send the photo again: it is not stored twice."
)

logger = logging.getLogger(__name__)


@dataclass
class Taken:
    """The result of one request: accepted photos, refused files, and the HTTP status."""

    photos: list[Photo] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)  # file name, reason
    status: int = 200

    def refuse(self, name: str, why: str | Promise, status: int = 422) -> None:
        """Record that a file was refused."""
        self.refused.append((name, str(why)))
        self.status = max(self.status, status)


# Django's CSRF check parses the body, so the length is checked first and CSRF second.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def photo_new(request: HttpRequest) -> HttpResponseBase:
    """Show the form. After a POST redirect to the photo or the common spot, or show the form with the errors (422; 413
    if too large).
    """
    if request.method == "POST" and _body_length(request) > MAX_BODY:
        return _refuse_length(request)
    return _checked(request)


@csrf_protect
@signed_in
def _checked(request: SignedInRequest) -> HttpResponse:
    if request.method != "POST":
        if needs_consent(request.user):
            return redirect(f"{reverse('consent')}?{urlencode({'next': request.get_full_path()})}")
        return _show(request, PhotoForm(owner=request.user, initial=_initial(request)), HistoryForm())
    form = PhotoForm(request.POST, request.FILES, owner=request.user)
    history = HistoryForm(request.POST)
    if not (form.is_valid() & history.is_valid()):
        return _show(request, form, history, Taken(status=422))
    taken = _take(request, form, history)
    if not taken.refused and not form.errors:
        return _done(request, taken.photos)
    several = len(form.cleaned_data.get("image", [])) > 1
    for name, why in taken.refused:
        form.add_error("image", f"{name}: {why}" if several and name else why)
    return _show(request, form, history, taken)


def _take(request: SignedInRequest, form: PhotoForm, history: HistoryForm) -> Taken:
    """Submit every file. An error in one file does not stop the others; an error of the site does."""
    taken = Taken()
    started = time.monotonic()
    for file in form.cleaned_data["image"]:
        name = file.name or ""
        if taken.status >= 500 or time.monotonic() - started > PATIENCE:
            taken.refuse(name, NO_TIME, 503)
            continue
        if problem := form.problem_with(file):
            taken.refuse(name, problem)
            continue
        try:
            taken.photos.append(_submit(request, form, history, file))
        except PhotoRejected as rejected:
            taken.refuse(name, words_for(rejected), 503 if rejected.is_our_fault else 422)
        except ConsentRequired:
            # A new consent text was published meanwhile. A redirect would lose what the user filled in.
            form.add_error(None, ValidationError(CONSENT_NEEDED))
            taken.status = 422
            break
        except ValidationError as invalid:
            form.add_error(None, invalid.messages)
            taken.status = max(taken.status, 422)
            break
        except OSError as error:
            if not is_storage_full(error):
                raise
            logger.error("The storage is full: an upload was refused.")
            form.add_error(None, ValidationError(STORAGE_FULL))
            taken.status = 507
            break
        except (OperationalError, InterfaceError) as error:
            logger.error("The database broke off during an upload: %s", type(error).__name__)
            # If the database is back, the form is shown again with its content. If not, the 503 page is shown.
            connection.close_if_unusable_or_obsolete()
            form.add_error(None, ValidationError(DATABASE_LOST))
            taken.status = 503
            break
    return taken


@signed_in
def _refuse_length(request: SignedInRequest) -> HttpResponse:
    remaining = min(_body_length(request), POLITE_BYTES)
    with contextlib.suppress(OSError):
        while remaining > 0 and (chunk := request.read(min(CHUNK, remaining))):
            remaining -= len(chunk)
    # The form was not read, and neither was its key.
    form = PhotoForm({"upload_key": _upload_key()}, owner=request.user)
    form.is_valid()
    form.errors.clear()
    form.add_error("image", ValidationError(too_large(form.limits), code="too_large_bytes"))
    return _show(request, form, HistoryForm(), Taken(status=413))


def _submit(request: SignedInRequest, form: PhotoForm, history: HistoryForm, file: "UploadedFile[bytes]") -> Photo:
    """Save the new spot, if there is one, and the photo, in one transaction."""
    given = form.cleaned_data
    data: bytes = file.read()
    # The key covers the whole content, so that another photo or other answers are a new upload.
    key = f"page:{given['upload_key']}:{_digest(data, form, history)}" if given["upload_key"] else ""
    owned = Photo.objects.filter(owner=request.user, idempotency_key=key)
    if key and (earlier := owned.first()) is not None:
        return earlier
    try:
        with transaction.atomic():
            lesion = None if form.each_its_own else given["lesion"]
            if lesion is None and given["lesion_name"]:
                lesion = create_lesion(
                    owner=request.user,
                    name=given["lesion_name"],
                    anatom_site_general=given["anatom_site_general"],
                    fresh=form.each_its_own,
                )
            return submit_photo(
                owner=request.user,
                data=data,
                file_name=file.name or "",
                metadata=PhotoMetadata(
                    lesion=lesion,
                    age_approx=given["age_approx"],
                    sex=given["sex"],
                    # The site of an existing spot is kept for its next photos.
                    anatom_site_general=given["anatom_site_general"] or (lesion.anatom_site_general if lesion else ""),
                    image_type=given["image_type"],
                ),
                history=history.answers,
                limits=form.limits,
                idempotency_key=key,
            )
    except IdempotencyConflict:
        # The key covers the whole content, so this is the same upload. Its photo was moved to another spot meanwhile.
        return owned.get()


def _digest(data: bytes, form: PhotoForm, history: HistoryForm) -> str:
    """SHA-256 (hex) of the file and of the answers in the form."""
    given = form.cleaned_data
    lesion = given["lesion"]
    said = [
        lesion.pk.hex if lesion else "",
        given["lesion_name"],
        given["age_approx"],
        given["sex"],
        given["image_type"],
    ]
    reported = asdict(history.answers) if history.answers.given else {}
    words = json.dumps([*said, given["anatom_site_general"], form.each_its_own, reported])
    return hashlib.sha256(hashlib.sha256(data).digest() + words.encode()).hexdigest()


def _done(request: SignedInRequest, photos: list[Photo]) -> HttpResponse:
    """Redirect to the photo, or with several photos to their common spot, if they have one."""
    lesions = {photo.lesion_id for photo in photos}
    spot = photos[0].lesion_id if len(lesions) == 1 else None
    place = reverse("lesion", args=[spot]) if spot is not None else reverse("lesion-list")
    if _wants_json(request):
        photo = reverse("photo", args=[photos[0].pk])
        return JsonResponse({"photo": photo, "spot": place}, status=201)
    if len(photos) == 1:
        return redirect("photo", photo_id=photos[0].pk)
    messages.success(
        request,
        ngettext("%(count)d photo is being analysed.", "%(count)d photos are being analysed.", len(photos))
        % {"count": len(photos)},
    )
    return redirect(place)


def _show(request: SignedInRequest, form: PhotoForm, history: HistoryForm, taken: Taken | None = None) -> HttpResponse:
    taken = taken or Taken()
    if _wants_json(request):
        return JsonResponse({"problems": [*_problems(form), *_problems(history)]}, status=taken.status)
    context = {
        "form": form,
        "history": history,
        "accepted": taken.photos,
        "advice_words": _advice_words(),
        "quality_limits": json.dumps(_quality_limits()),
    }
    return render(request, "diagnoses/lesions/photo_new.html", context, status=taken.status)


def _problems(form: PhotoForm | HistoryForm) -> list[dict[str, str]]:
    """The errors of the form as JSON for upload.js: field, element id, label and messages."""
    found = []
    for name, errors in form.errors.items():
        bound = form[name] if name in form.fields else None
        place = {"field": name if bound else "", "id": bound.id_for_label if bound else ""}
        label = str(bound.label) if bound else ""
        found += [{**place, "label": label, "words": str(error)} for error in errors]
    return found


def _advice_words() -> dict[str, str]:
    """The messages that the browser shows before sending a photo, by code of the quality gate."""
    codes = ("too_small", "too_dark", "too_bright", "low_contrast", "blurred")
    return {code: f"{GATE_REASONS[code].why} {GATE_REASONS[code].remedy}" for code in codes}


def _quality_limits() -> dict[str, float]:
    """The reference scale and the quality limits of the live classifier, for the browser's advice before sending.

    Of several kinds of picture the laxest limits: which kind it is, is not known yet.
    """
    live = Classifier.objects.live()
    manifest = live.manifest if live is not None else {}
    sealed = [block.get("assessment", {}).get("quality") for block in image_type_blocks(manifest).values()]
    limits = [QualityLimits.from_json(each).as_json() for each in sealed if each] or [DEFAULT_LIMITS.as_json()]
    laxest = {name: (max if name == "clipped_max" else min)(each[name] for each in limits) for name in limits[0]}
    scale = manifest.get("preprocessing", {}).get("reference_long_side", REFERENCE_LONG_SIDE)
    return {"reference_long_side": scale, **laxest}


def _wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "") == "application/json"


def _initial(request: SignedInRequest) -> dict[str, Any]:
    """Initial values: age and sex from the profile or the last photo, and the spot in the URL."""
    initial: dict[str, Any] = {"upload_key": _upload_key()}
    if request.user.is_patient:
        initial |= _about(request)
    with contextlib.suppress(ValueError):
        lesion = request.user.lesions.filter(pk=uuid.UUID(request.GET.get("lesion", ""))).first()
        if lesion is not None:
            initial |= {"lesion": lesion.pk, "anatom_site_general": lesion.anatom_site_general}
    return initial


def _about(request: SignedInRequest) -> dict[str, Any]:
    last = Photo.objects.filter(owner=request.user).order_by("-created", "-pk").first()
    about: dict[str, Any] = {"age_approx": last.age_approx, "sex": last.sex} if last is not None else {}
    profile = Profile.objects.filter(user=request.user).first()
    if profile is not None and profile.year_of_birth is not None:
        # Only the year of birth is known, not the birthday.
        about["age_approx"] = min(max(timezone.localdate().year - profile.year_of_birth, 0), AGE_MAX)
    if profile is not None and profile.sex:
        about["sex"] = profile.sex
    return about


def _upload_key() -> str:
    return uuid.uuid4().hex


def _body_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
