"""The admin of this app, collected for Django's autodiscovery. Each feature folder has its own `admin.py`.

Almost all of it is read-only; services make the few changes that are allowed. Pictures are shown only as thumbnails,
through the private media views that check permission. Opening a photo in the admin is audited too.
"""

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Group
from knox.models import AuthToken

from diagnoses.lesions import admin as lesions
from diagnoses.monitoring import admin as monitoring
from diagnoses.photos import admin as photos
from diagnoses.readings import admin as readings
from diagnoses.sharing import admin as sharing

__all__ = ["lesions", "monitoring", "photos", "readings", "sharing"]

# Tokens and second factors give access to accounts, so nobody may see or add them here.
admin.site.unregister([AuthToken, Authenticator])
# Permissions come from roles. Django's groups have no effect, so they are not shown.
admin.site.unregister(Group)
