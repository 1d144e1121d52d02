"""The overview page of the account."""

from allauth.mfa.utils import is_mfa_enabled
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Notification, Purpose
from accounts.services import consent_of, needs_consent
from accounts.views.access import SignedInRequest, signed_in


@require_safe
@signed_in
def account(request: SignedInRequest) -> HttpResponse:
    """Links to profile, privacy, notifications, sign-in, export and erasure, each with its state."""
    user = request.user
    return render(
        request,
        "accounts/overview.html",
        {
            "has_profile": hasattr(user, "profile"),
            "needs_consent": needs_consent(user),
            "diagnosis_consent": consent_of(user, Purpose.DIAGNOSIS),
            "unread": Notification.objects.unread().filter(user=user).count(),
            "has_second_step": is_mfa_enabled(user),
        },
    )
