"""How administrators see photos, predictions, readings, classifiers, workers and backups.

Almost all of it is read-only: what happened happened, and what may be changed is changed by a service. Pictures appear
only as thumbnails through the private media views, which ask who is asking. A look at a photo is audited here as well.
"""

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Group
from knox.models import AuthToken

from diagnoses.admin.classifiers import ClassifierAdmin
from diagnoses.admin.machine import BackupRecordAdmin, WorkerAdmin
from diagnoses.admin.photos import PhotoAdmin
from diagnoses.admin.reviews import FindingAdmin, ReadingAdmin
from diagnoses.admin.rows import LongListAdmin

__all__ = [
    "BackupRecordAdmin",
    "ClassifierAdmin",
    "FindingAdmin",
    "LongListAdmin",
    "PhotoAdmin",
    "ReadingAdmin",
    "WorkerAdmin",
]

# A token is a key to an account and an authenticator is its second factor: not for looking at, adding or handing out.
admin.site.unregister([AuthToken, Authenticator])
# Roles decide here; Django's groups would look as if they did.
admin.site.unregister(Group)
