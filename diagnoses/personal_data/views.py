"""Account pages that need photos: access log, export, erasure."""

from typing import Final

from allauth.account.decorators import reauthentication_required
from django.contrib.auth import logout
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.views.access import SignedInRequest, signed_in
from diagnoses.lesions.models import Lesion
from diagnoses.personal_data.access_log import accesses_of
from diagnoses.personal_data.erasure import LastAdministrator, erase_account
from diagnoses.personal_data.export import export_account
from diagnoses.photos.media import PRIVATE_HEADERS
from diagnoses.photos.models import Photo
from diagnoses.readings.models import Finding, Reading

ENTRIES_SHOWN: Final = 200
"""The number of entries that the page shows. The export has all of them."""

EXPORT_PAUSE: Final = 60
"""Seconds between two exports of one person, because each export reads all their files."""


@require_safe
@signed_in
def account_access_log(request: SignedInRequest) -> HttpResponse:
    """The access log: when somebody else opened the user's photos or spots, newest first, without names."""
    entries = list(accesses_of(request.user, limit=ENTRIES_SHOWN))
    return render(request, "accounts/access_log.html", {"entries": entries, "is_cut": len(entries) == ENTRIES_SHOWN})


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def account_export(request: SignedInRequest) -> HttpResponseBase:
    """Describe the export; a POST streams it. 429 within a minute of the last one."""
    if request.method != "POST":
        count = Photo.objects.filter(owner=request.user).count()
        return render(request, "accounts/export.html", {"count": count})
    if not cache.add(f"export:{request.user.pk}", 1, EXPORT_PAUSE):
        problem = _("A download was started just now. Please wait a minute before you start another one.")
        count = Photo.objects.filter(owner=request.user).count()
        refused = render(request, "accounts/export.html", {"count": count, "problem": problem}, status=429)
        refused.headers["Retry-After"] = str(EXPORT_PAUSE)
        return refused
    return StreamingHttpResponse(
        export_account(user=request.user, by=request.user),
        content_type="application/zip",
        headers={
            **PRIVATE_HEADERS,
            "Content-Disposition": f'attachment; filename="teri-{timezone.localdate():%Y-%m-%d}.zip"',
            # Otherwise nginx would buffer the response on its disk.
            "X-Accel-Buffering": "no",
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def account_erase(request: SignedInRequest) -> HttpResponseBase:
    """Describe the erasure. A POST with `sure` asks for the password, is then repeated, and erases."""
    if request.method != "POST":
        return _ask(request)
    if "sure" not in request.POST:
        return _ask(request, problem=_("Please tick the box if you are sure."), status=422)
    answer: HttpResponse = _erase(request)
    return answer


@reauthentication_required  # type: ignore[untyped-decorator]  # allauth ships no types
def _erase(request: SignedInRequest) -> HttpResponse:
    try:
        erase_account(user=request.user, by=request.user)
    except LastAdministrator:
        problem = _(
            "You are the only administrator. Give somebody else that role first, or nobody could run this site."
        )
        return _ask(request, problem=problem, status=409)
    logout(request)
    return redirect("account-erased")


def _ask(request: SignedInRequest, *, problem: str = "", status: int = 200) -> HttpResponse:
    user = request.user
    stays = Finding.objects.filter(recorded_by=user).exclude(photo__owner=user).exists()
    stays = stays or Reading.objects.filter(reader=user).exclude(photo__owner=user).exists()
    context = {
        "problem": problem,
        "photo_count": Photo.objects.filter(owner=user).count(),
        "lesion_count": Lesion.objects.filter(owner=user).count(),
        "has_work": stays or not user.is_patient,
        "agreed_to_training": user.training_consent is not None
        or user.consents.filter(text__purpose="training").exists(),
    }
    return render(request, "accounts/erase.html", context, status=status)


@require_safe
def account_erased(request: HttpRequest) -> HttpResponse:
    """The page after an erasure. Nobody is signed in any more."""
    return render(request, "accounts/erased.html")
