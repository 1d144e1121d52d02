"""The URLs of the site; each app has its own list."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.views.language import switch_language

# The admin uses the login of the site, with the same rate limits and second factor (R11, R12).
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# Passwords are changed on one page only, which ends other sessions and tokens.
admin.site.password_change = RedirectView.as_view(pattern_name="account_change_password")  # type: ignore[assignment,method-assign]
admin.site.password_change_done = RedirectView.as_view(pattern_name="account_change_password")  # type: ignore[assignment,method-assign]
admin.site.site_header = "Teri"
admin.site.site_title = "Teri"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("account/", include("accounts.urls")),
    path("api/v1/", include("diagnoses.api.urls")),
    path("language/", switch_language, name="switch-language"),
    path("health/", include("diagnoses.monitoring.health")),
    path("", include("diagnoses.urls")),
]

handler500 = "diagnoses.site.errors.server_error"
