"""The profile page."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.forms import ProfileForm
from accounts.models import Profile
from accounts.services import save_profile
from accounts.views.access import SignedInRequest, signed_in


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def account_profile(request: SignedInRequest) -> HttpResponse:
    """Show and save the profile. All fields are optional. An invalid answer shows the form again (422)."""
    user = request.user
    profile = Profile.objects.filter(user=user).first() or Profile(user=user)
    if request.method != "POST":
        form = ProfileForm(profile=profile, name=user.name)
        return render(request, "accounts/profile.html", {"form": form})
    form = ProfileForm(request.POST, profile=profile, name=user.name)
    if form.is_valid():
        try:
            save_profile(user=user, by=user, answers=form.answers, name=form.cleaned_data["name"])
        except ValidationError as invalid:
            form.add_error(None, invalid)
        else:
            messages.success(request, _("Your profile is saved."))
            return redirect("account-profile")
    return render(request, "accounts/profile.html", {"form": form}, status=422)
