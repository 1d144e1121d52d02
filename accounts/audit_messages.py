"""The messages of the audit log: one translated sentence for each entry.

The log itself stores only ids and codes, because it is kept after people are erased. Names are loaded when it is read.
"""

from collections.abc import Iterable
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import AuditEntry, Role, User

Action: Final = AuditEntry.Action

SENTENCES: Final[dict[str, str | Promise]] = {
    Action.PHOTO_VIEWED: _("%(actor)s looked at a photo."),
    Action.PHOTO_DELETED: _("%(actor)s deleted a photo."),
    Action.IMAGE_TYPE_CHANGED: _("%(actor)s changed the kind of a picture."),
    Action.FINDING_RECORDED: _("%(actor)s recorded the finding %(diagnosis)s."),
    Action.TEST_FIGURES_OPENED: _("%(actor)s opened the test figures of %(version)s."),
    Action.CLASSIFIER_PROMOTED: _("%(actor)s made the classifier %(version)s the live one."),
    Action.CLASSIFIER_REGISTERED: _("%(actor)s registered the classifier %(version)s."),
    Action.ROLE_CHANGED: _("%(actor)s changed a role from “%(before)s” to “%(after)s”."),
    Action.ACCOUNT_CREATED: _("%(actor)s made an account with the role “%(role)s”."),
    Action.EMAIL_CHANGED: _("%(actor)s changed the e-mail address of an account."),
    Action.CONSENT_GIVEN: _("%(actor)s agreed to a consent text, version %(version)s."),
    Action.CONSENT_WITHDRAWN: _("%(actor)s withdrew a consent."),
    Action.CONSENT_TEXT_PUBLISHED: _("%(actor)s published version %(version)s of a consent text."),
    Action.ACCOUNT_EXPORTED: _("%(actor)s exported everything of an account."),
    Action.ACCOUNT_ERASED: _("%(actor)s erased an account."),
    Action.LESION_DELETED: _("%(actor)s deleted a spot with its photos."),
    Action.REVIEW_REQUESTED: _("%(actor)s asked for a clinician’s review."),
    Action.READING_RECORDED: _("%(actor)s recorded a reading."),
    Action.SECOND_READING_REQUESTED: _("%(actor)s asked for a second reading."),
    Action.SHARE_LINK_MADE: _("%(actor)s made a share link."),
    Action.SHARE_LINK_OPENED: _("Somebody without an account opened a share link."),
    Action.SHARE_LINK_REVOKED: _("%(actor)s revoked a share link."),
    Action.LIST_EXPORTED: _("%(actor)s exported a list."),
}

SWITCHED_ON: Final = _("%(actor)s switched an account on.")
SWITCHED_OFF: Final = _("%(actor)s switched an account off.")
OTHERWISE: Final = _("%(actor)s: %(action)s.")
"""The message for an action that this version does not know."""


def names_of(entries: Iterable[AuditEntry]) -> dict[str, str]:
    """The names of the actors of these entries, by their id in the log. One query. Erased people are missing."""
    keys = {int(entry.actor) for entry in entries if entry.actor.isdecimal()}
    return {str(user.pk): str(user) for user in User.objects.filter(pk__in=keys).only("name", "email")}


def sentence(entry: AuditEntry, names: dict[str, str]) -> str:
    """The message of an entry in the active language. `names` is the result of `names_of`."""
    known = entry.detail if isinstance(entry.detail, dict) else {}
    actor = names.get(entry.actor) or gettext("A former user") if entry.actor else gettext("The application")
    words = {
        "actor": actor,
        "action": entry.get_action_display(),
        "diagnosis": known.get("diagnosis", "–"),
        "version": known.get("version", "–"),
        "before": _role(known.get("before")),
        "after": _role(known.get("after")),
        "role": _role(known.get("role")),
    }
    template = SENTENCES.get(entry.action, OTHERWISE)
    if entry.action == Action.ACCOUNT_SWITCHED:
        template = SWITCHED_ON if known.get("active") else SWITCHED_OFF
    return str(template) % words


def _role(code: object) -> str:
    """The label of a role. Unknown values are shown unchanged."""
    return str(dict(Role.choices).get(str(code), code if code is not None else "–"))
