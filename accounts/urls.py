"""URLs of the account pages. The account pages that need photos (export, erasure) are in `diagnoses.urls`."""

from django.urls import path

from accounts.views import notifications, overview, privacy, profile

urlpatterns = [
    path("", overview.account, name="account"),
    path("profile/", profile.account_profile, name="account-profile"),
    path("privacy/", privacy.account_privacy, name="account-privacy"),
    path("consent/", privacy.consent, name="consent"),
    path("notifications/", notifications.account_notifications, name="account-notifications"),
    path("notifications/count/", notifications.notification_count, name="account-notification-count"),
    path("notifications/<int:notification_id>/", notifications.notification, name="account-notification"),
]
