"""The admin of this app, gathered for Django's autodiscovery; each feature holds its own.

Almost all of it is read-only: what happened happened, and what may be changed is changed by a service. Pictures appear
only as thumbnails through the private media views, which ask who is asking. A look at a photo is audited here as well.
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

# A token is a key to an account and an authenticator is its second factor: not for looking at, adding or handing out.
admin.site.unregister([AuthToken, Authenticator])
# Roles decide here; Django's groups would look as if they did.
admin.site.unregister(Group)
