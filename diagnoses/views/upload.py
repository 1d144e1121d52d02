"""The upload page: from a file and a few words to `submit_photo`."""

import contextlib
import hashlib
import json
import logging
import uuid
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from diagnoses.forms import PhotoForm, too_large, words_for
from diagnoses.intake import IntakeLimits, PhotoRejected
from diagnoses.models import Photo
from diagnoses.services import PhotoMetadata, create_lesion, submit_photo
from diagnoses.views.access import SignedInRequest, signed_in
from diagnoses.views.errors import is_storage_full

# What a multipart body holds besides the file: boundaries, names and the other fields, generously.
BODY_ALLOWANCE: Final = 64 * 1024
# A browser shows our answer only after its body was taken. Up to this much is read and dropped to be polite; whoever
# sends more sees the connection close.
POLITE_BYTES: Final = 100 * 2**20
CHUNK: Final = 2**18

STORAGE_FULL: Final = _(
    "There is no room for another photo at the moment. Nothing was stored; please try again in a few minutes."
)
DATABASE_LOST: Final = _(
    "The site lost its database for a moment. Please send the photo again: it is not stored twice."
)

logger = logging.getLogger(__name__)


# Django's check of the CSRF token parses the body, so the length is looked at first and the check comes second.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def photo_new(request: HttpRequest) -> HttpResponseBase:
    """The form, and what becomes of it: the photo's page, or the form again with the reason (422; 413 too large)."""
    if request.method == "POST" and _body_length(request) > IntakeLimits().max_bytes + BODY_ALLOWANCE:
        return _refuse_length(request)
    return _checked(request)


@csrf_protect
@signed_in
def _checked(request: SignedInRequest) -> HttpResponse:
    if request.method != "POST":
        return _show(request, PhotoForm(owner=request.user, initial=_initial(request)))
    form = PhotoForm(request.POST, request.FILES, owner=request.user)
    if not form.is_valid():
        return _show(request, form, status=422)
    photo, status = _attempt(request, form)
    if photo is None:
        return _show(request, form, status=status)
    if request.htmx:
        return HttpResponseClientRedirect(reverse("photo", args=[photo.pk]))
    return redirect("photo", photo_id=photo.pk)


def _attempt(request: SignedInRequest, form: PhotoForm) -> tuple[Photo | None, int]:
    """The photo, or None with the status of the answer and the reason among the form's errors."""
    try:
        return _submit(request, form), 200
    except PhotoRejected as rejected:
        form.add_error("image", ValidationError(words_for(rejected), code=rejected.code))
        return None, 503 if rejected.is_our_fault else 422
    except ValidationError as invalid:
        form.add_error(None, invalid.messages)
        return None, 422
    except OSError as error:
        if not is_storage_full(error):
            raise
        logger.error("The storage is full: an upload was refused.")
        form.add_error(None, ValidationError(STORAGE_FULL))
        return None, 507
    except (OperationalError, InterfaceError) as error:
        logger.error("The database broke off during an upload: %s", type(error).__name__)
        # Perhaps it is back already: then what was filled in is not lost. If not, the site's own answer says so.
        connection.close_if_unusable_or_obsolete()
        form.add_error(None, ValidationError(DATABASE_LOST))
        return None, 503


@signed_in
def _refuse_length(request: SignedInRequest) -> HttpResponse:
    remaining = min(_body_length(request), POLITE_BYTES)
    with contextlib.suppress(OSError):
        while remaining > 0 and (chunk := request.read(min(CHUNK, remaining))):
            remaining -= len(chunk)
    # What the form said was not read, its key neither.
    form = PhotoForm({"upload_key": _upload_key()}, owner=request.user)
    form.is_valid()
    form.errors.clear()
    form.add_error("image", ValidationError(too_large(form.limits), code="too_large_bytes"))
    return _show(request, form, status=413)


def _submit(request: SignedInRequest, form: PhotoForm) -> Photo:
    """Save the new spot, if there is one, and the photo: both or neither."""
    given = form.cleaned_data
    data: bytes = given["image"].read()
    with transaction.atomic():
        lesion = given["lesion"]
        if lesion is None and given["lesion_name"]:
            lesion = create_lesion(
                owner=request.user,
                name=given["lesion_name"],
                anatom_site_general=given["anatom_site_general"],
            )
        what: dict[str, Any] = {
            "owner": request.user,
            "data": data,
            "file_name": given["image"].name,
            "metadata": PhotoMetadata(
                lesion=lesion,
                age_approx=given["age_approx"],
                sex=given["sex"],
                # A spot stays where it is: what was said of it once holds for its next photo.
                anatom_site_general=given["anatom_site_general"] or (lesion.anatom_site_general if lesion else ""),
            ),
            "limits": form.limits,
        }
        # "Back" and another photo, or other words about it, is a new upload: the key is all of it together.
        key = f"page:{given['upload_key']}:{_digest(data, given)}" if given["upload_key"] else ""
        return submit_photo(**what, idempotency_key=key)


def _digest(data: bytes, given: dict[str, Any]) -> str:
    """SHA-256 (hex) of the file and of what was said of it."""
    lesion = given["lesion"]
    said = [lesion.pk.hex if lesion else "", given["lesion_name"], given["age_approx"], given["sex"]]
    words = json.dumps([*said, given["anatom_site_general"]])
    return hashlib.sha256(hashlib.sha256(data).digest() + words.encode()).hexdigest()


def _show(request: SignedInRequest, form: PhotoForm, status: int = 200) -> HttpResponse:
    template = "diagnoses/partials/upload_form.html" if request.htmx else "diagnoses/photo_new.html"
    return render(request, template, {"form": form}, status=status)


def _initial(request: SignedInRequest) -> dict[str, Any]:
    """What the patient said last time, and the spot asked for in the address."""
    initial: dict[str, Any] = {"upload_key": _upload_key()}
    last = Photo.objects.filter(owner=request.user).order_by("-created", "-pk").first()
    if last is not None and request.user.is_patient:
        initial |= {"age_approx": last.age_approx, "sex": last.sex}
    with contextlib.suppress(ValueError):
        lesion = request.user.lesions.filter(pk=uuid.UUID(request.GET.get("lesion", ""))).first()
        if lesion is not None:
            initial |= {"lesion": lesion.pk, "anatom_site_general": lesion.anatom_site_general}
    return initial


def _upload_key() -> str:
    return uuid.uuid4().hex


def _body_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
