"""Pages of share links: the owner's page to create and revoke them, and the shared result for visitors.

A visitor has no account: the shared page has no site header, sets no cookie, is not cached or indexed, and sends no
referrer. All invalid links get the same response. Many failed attempts from one place are throttled.
"""

import time
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import segno
from allauth.account.adapter import get_adapter
from django.contrib import messages
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import Language
from accounts.views.access import SignedInRequest, signed_in
from diagnoses.photos.media import stream
from diagnoses.photos.models import Photo
from diagnoses.photos.views import visible_photo
from diagnoses.results.views.report import report_response
from diagnoses.results.views.state import state_context
from diagnoses.sharing.forms import ShareForm
from diagnoses.sharing.models import ShareLink
from diagnoses.sharing.services import make_share_link, open_shared, revoke_share_link

LINKS_SHOWN: Final = 30

MISSES: Final = 30
"""The allowed number of invalid tokens from one place within `MISS_WINDOW`. Nobody can guess 256 bits; this only limits
the load of programs that try."""

MISS_WINDOW: Final = 600  # seconds

HEADERS: Final = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}


# --- For the owner


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@sensitive_variables("token", "address")
def photo_share(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """The links of a photo, and the form for a new one. Only the response to the POST contains the new URL."""
    photo = _own_photo(request, photo_id)
    form, address = ShareForm(), ""
    status = 200
    if request.method == "POST":
        form = ShareForm(request.POST)
        status = 422
        if form.is_valid():
            try:
                _link, token = make_share_link(photo=photo, by=request.user, **form.cleaned_data)
            except ValidationError as error:
                form.add_error(None, error)
            else:
                address = request.build_absolute_uri(reverse("shared", args=[token]))
                form, status = ShareForm(), 200
    links = list(ShareLink.objects.filter(photo=photo)[:LINKS_SHOWN])
    context: dict[str, Any] = {"photo": photo, "form": form, "links": links, "address": address}
    if address:
        # Error correction M or better: readable with a seventh covered. Dark on light also on a dark page.
        code = segno.make_qr(address, error="m")
        context["code"] = code.svg_inline(border=4, omitsize=True, svgclass="share-new__code", light="white")
    return render(request, "diagnoses/sharing/photo_share.html", context, status=status)


@require_POST
@signed_in
def photo_share_revoke(request: SignedInRequest, photo_id: UUID, link_id: UUID) -> HttpResponse:
    """Revoke a link."""
    photo = _own_photo(request, photo_id)
    link = get_object_or_404(ShareLink.objects.filter(photo=photo), pk=link_id)
    if revoke_share_link(link=link, by=request.user):
        messages.success(request, _("The link is closed and opens nothing any more."))
    return redirect("photo-share", photo_id=photo_id)


def _own_photo(request: SignedInRequest, photo_id: UUID) -> Photo:
    photo = visible_photo(request, photo_id, for_display=True)
    if photo.owner_id != request.user.pk:
        raise PermissionDenied(_("Only the person whose photo it is can share it."))
    return photo


# --- For visitors


def behind_link(
    view: Callable[[HttpRequest, ShareLink], HttpResponseBase], *, counts: bool
) -> Callable[..., HttpResponseBase]:
    """Decorator: open the link of the token and activate the requested language, or answer that the link is invalid."""

    @require_safe
    @sensitive_variables("token")
    def guarded(request: HttpRequest, token: str) -> HttpResponseBase:
        language = request.GET.get("language", "")
        if language in Language.values:
            translation.activate(language)
            request.LANGUAGE_CODE = language
        response: HttpResponseBase
        if _misses(request) >= MISSES:
            response = render(request, "429.html", status=429)
        else:
            link = open_shared(token, counts=counts and request.method == "GET")
            if link is None:
                _count_miss(request)
                response = _gone(request)
            else:
                try:
                    response = view(request, link)
                except Http404:
                    response = _gone(request)
        for name, value in HEADERS.items():
            response.headers[name] = value
        # Django logs the URL of refused requests; this URL is a secret.
        setattr(response, "_has_been_logged", True)  # noqa: B010 - an attribute that the types lack
        return response

    return guarded


def _gone(request: HttpRequest) -> HttpResponse:
    return render(request, "diagnoses/sharing/shared_gone.html", status=404)


def _shared(request: HttpRequest, link: ShareLink) -> HttpResponse:
    """The result as the owner sees it, without the actions."""
    token = _token(request)
    photo = link.photo
    context = state_context(photo, for_clinician=False) | {
        "link": link,
        "is_owner": False,
        "is_shared": True,
        "languages": Language.choices,
        "image_url": reverse("shared-image", args=[token]),
        "heatmap_url": reverse("shared-heatmap", args=[token]),
        "report_url": reverse("shared-report", args=[token]),
    }
    return render(request, "diagnoses/sharing/shared.html", context)


def _shared_image(request: HttpRequest, link: ShareLink) -> HttpResponseBase:
    return stream(link.photo.image.name, "image/jpeg", f"teri-{link.photo_id}.jpg")


def _shared_heatmap(request: HttpRequest, link: ShareLink) -> HttpResponseBase:
    heatmap = link.photo.heatmap_for(for_clinician=False)
    if not heatmap:
        raise Http404
    return stream(heatmap, "image/png", f"teri-{link.photo_id}-heatmap.png")


def _shared_report(request: HttpRequest, link: ShareLink) -> HttpResponse:
    return report_response(request, link.photo)


shared = behind_link(_shared, counts=True)
shared_image = behind_link(_shared_image, counts=False)
shared_heatmap = behind_link(_shared_heatmap, counts=False)
shared_report = behind_link(_shared_report, counts=False)


def _token(request: HttpRequest) -> str:
    match = request.resolver_match
    assert match is not None  # the URL resolver has set it
    return str(match.kwargs["token"])


def _misses(request: HttpRequest) -> int:
    return int(cache.get(_miss_key(request), 0))


def _count_miss(request: HttpRequest) -> None:
    key = _miss_key(request)
    cache.set(key, _misses(request) + 1, MISS_WINDOW)


def _miss_key(request: HttpRequest) -> str:
    # The time window is part of the key, so that each window starts a new count.
    return f"shared-misses:{get_adapter(request).get_client_ip(request)}:{int(time.time()) // MISS_WINDOW}"
