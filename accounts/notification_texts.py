"""The texts of notifications: what each kind says on the page, and how its e-mail begins.

A row stores only `kind` and `data`. The text is made when it is read, in the reader's language. On the page the text
names the spot. E-mails pass through other servers, so they say only that there is a notification.
"""

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Notification

Kind = Notification.Kind


@dataclass(frozen=True)
class Words:
    """The texts of one kind of notification.

    `about_a_spot` has the placeholder %(spot)s, the patient's name for the spot. `otherwise` is for unnamed spots.
    """

    title: Promise
    about_a_spot: Promise
    otherwise: Promise
    # For e-mails: says nothing about the content.
    email_subject: Promise


_ABOUT_A_SPOT: Final = _("There is news about a spot you photographed")
_WAITS: Final = _("A photo waits for your reading")

WORDS: Final[dict[str, Words]] = {
    Kind.RESULT: Words(
        title=_("Your result is ready"),
        about_a_spot=_("Your photo of “%(spot)s” has been analysed."),
        otherwise=_("Your photo has been analysed."),
        email_subject=_ABOUT_A_SPOT,
    ),
    Kind.FAILED: Words(
        title=_("Your photo could not be analysed"),
        about_a_spot=_("Your photo of “%(spot)s” could not be analysed. On its page you can try again."),
        otherwise=_("Your photo could not be analysed. On its page you can try again."),
        email_subject=_ABOUT_A_SPOT,
    ),
    Kind.REVIEW: Words(
        title=_("A clinician has read your photo"),
        about_a_spot=_("A clinician has read your photo of “%(spot)s” and written down what they think of it."),
        otherwise=_("A clinician has read your photo and written down what they think of it."),
        email_subject=_ABOUT_A_SPOT,
    ),
    Kind.HISTOPATHOLOGY: Words(
        title=_("A laboratory result has arrived"),
        about_a_spot=_("The laboratory result for “%(spot)s” has been entered."),
        otherwise=_("The laboratory result for your spot has been entered."),
        email_subject=_ABOUT_A_SPOT,
    ),
    Kind.REMINDER: Words(
        title=_("Time for a new photo"),
        about_a_spot=_("It is time to photograph “%(spot)s” again."),
        otherwise=_("It is time to photograph your spot again."),
        email_subject=_("The reminder you asked for"),
    ),
    Kind.SECOND_READING: Words(
        title=_("A second reading is wanted"),
        about_a_spot=_("A photo waits for a second reading."),
        otherwise=_("A photo waits for a second reading."),
        email_subject=_WAITS,
    ),
    Kind.ADJUDICATION: Words(
        title=_("Two readings differ"),
        about_a_spot=_("Two clinicians read a photo differently. It waits for a third reading."),
        otherwise=_("Two clinicians read a photo differently. It waits for a third reading."),
        email_subject=_WAITS,
    ),
}


def title(notification: Notification) -> str:
    """The title, in the active language."""
    return str(WORDS[notification.kind].title)


def sentence(notification: Notification) -> str:
    """One or two sentences that name the spot, in the active language. Not for e-mails."""
    words = WORDS[notification.kind]
    spot = str(notification.data.get("spot") or "")
    months = notification.data.get("months")
    if notification.kind == Kind.REMINDER and isinstance(months, int):
        return _reminder(spot, months)
    return str(words.about_a_spot) % {"spot": spot} if spot else str(words.otherwise)


def email_subject(notification: Notification) -> str:
    """The subject and first line of an e-mail. Nothing medical, no name of a spot."""
    return str(WORDS[notification.kind].email_subject)


def _reminder(spot: str, months: int) -> str:
    if not spot:
        text = ngettext(
            "%(months)d month has passed: it is time to photograph your spot again.",
            "%(months)d months have passed: it is time to photograph your spot again.",
            months,
        )
        return text % {"months": months}
    text = ngettext(
        "%(months)d month has passed: it is time to photograph “%(spot)s” again.",
        "%(months)d months have passed: it is time to photograph “%(spot)s” again.",
        months,
    )
    return text % {"months": months, "spot": spot}


def email_greeting(name: str) -> str:
    """The greeting of an e-mail, with or without a name."""
    return gettext("Hello %(name)s,") % {"name": name} if name else gettext("Hello,")


def unread_words(unread: int) -> str:
    """For screen readers: "3 unread messages". Empty if there are none."""
    if not unread:
        return ""
    return ngettext("%(count)d unread message", "%(count)d unread messages", unread) % {"count": unread}
