"""Privacy pages: give, read and withdraw consents."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from accounts.forms import ConsentForm
from accounts.models import Consent, ConsentText, Purpose, User
from accounts.services import NoConsentText, consent_of, give_consent, needs_consent, withdraw_consent
from accounts.views.access import SignedInRequest, own_page, signed_in

_GIVEN: Mapping[str, Promise] = {
    Purpose.DIAGNOSIS: _("Thank you. You can now upload photos."),
    Purpose.TRAINING: _("Thank you. Confirmed photos of yours may help to improve the classifier."),
}
_WITHDRAWN: Mapping[str, Promise] = {
    Purpose.DIAGNOSIS: _("You have withdrawn your consent. No new photos of yours are accepted."),
    Purpose.TRAINING: _("You have withdrawn your consent. No new data set will hold your photos."),
}


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def account_privacy(request: SignedInRequest) -> HttpResponse:
    """Both consents. POST `purpose`, `action` (give or withdraw) and, to give, the `version` that was read."""
    if request.method == "POST":
        return _changed(request)
    return _show(request)


def _changed(request: SignedInRequest) -> HttpResponse:
    user = request.user
    purpose, action = request.POST.get("purpose", ""), request.POST.get("action", "")
    if purpose not in Purpose.values or action not in {"give", "withdraw"}:
        raise BadRequest("Neither a consent nor a withdrawal.")
    if action == "withdraw":
        if withdraw_consent(user=user, purpose=Purpose(purpose), by=user):
            messages.success(request, str(_WITHDRAWN[purpose]))
        return redirect("account-privacy")
    version = request.POST.get("version", "")
    try:
        give_consent(user=user, purpose=Purpose(purpose), by=user, version=int(version) if version.isdecimal() else 0)
    except ValidationError as newer:
        return _show(request, problems=newer.messages, status=422)
    except NoConsentText as nothing:
        raise BadRequest("There is no such text.") from nothing
    messages.success(request, str(_GIVEN[purpose]))
    return redirect("account-privacy")


def _show(request: SignedInRequest, *, problems: list[str] | None = None, status: int = 200) -> HttpResponse:
    user = request.user
    context = {
        "consents": [_state(user, purpose) for purpose in Purpose],
        "past": Consent.objects.filter(user=user, withdrawn__isnull=False).select_related("text"),
        "problems": problems,
    }
    return render(request, "accounts/privacy.html", context, status=status)


def _state(user: User, purpose: Purpose) -> dict[str, Any]:
    """The state of one consent: the given consent, the current text, and whether that text is newer."""
    standing, current = consent_of(user, purpose), ConsentText.objects.current(purpose)
    return {
        "purpose": purpose,
        "standing": standing,
        "current": current,
        "is_newer": bool(current and standing and current.version > standing.text.version),
        # Given before consent texts had versions.
        "since": user.training_consent if purpose == Purpose.TRAINING else None,
    }


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def consent(request: SignedInRequest) -> HttpResponse:
    """Ask for the consent that an upload needs, then redirect to `next`. Redirects at once if it was given."""
    user = request.user
    page = own_page(request, request.POST.get("next") or request.GET.get("next", ""), otherwise="home")
    if not needs_consent(user):
        return HttpResponseRedirect(page)
    form = ConsentForm(request.POST if request.method == "POST" else None, user=user)
    if request.method == "POST" and form.is_valid():
        form.give(user)
        return HttpResponseRedirect(page)
    context = {
        "form": form,
        "next": page,
        "earlier": consent_of(user, Purpose.DIAGNOSIS),
        "withdrew": Consent.objects.filter(user=user, text__purpose=Purpose.DIAGNOSIS).exists(),
    }
    return render(request, "accounts/consent.html", context, status=422 if form.is_bound else 200)
