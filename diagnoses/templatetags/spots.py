"""Template tags of the spots pages: body map, reported history, reminders, anchors of sites."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.utils.functional import Promise
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from diagnoses.lesions.bodymap import HEIGHT, SILHOUETTE, WIDTH
from diagnoses.lesions.forms import QUESTIONS
from diagnoses.lesions.models import Reminder
from diagnoses.lesions.reminders import offered_days, reminder_refusal
from diagnoses.photos.models import CHECKLIST_MAJOR, CHECKLIST_MINOR, CHECKLIST_REFERS, Photo, PhotoHistory

register = template.Library()

MAX_SCORE = 2 * len(CHECKLIST_MAJOR) + len(CHECKLIST_MINOR)


@dataclass(frozen=True)
class Answered:
    """One answered question of the history. `points` are those of the 7-point checklist; `said` is "yes" or "no"."""

    question: str | Promise
    answer: str | Promise
    said: str
    points: int


@register.filter
def answers(history: PhotoHistory) -> list[Answered]:
    """The answered yes-or-no questions, in the order they were asked."""
    known = []
    for name, question in QUESTIONS.items():
        value = getattr(history, name)
        if value is not None:
            weight = 2 if name in CHECKLIST_MAJOR else 1 if name in CHECKLIST_MINOR else 0
            known.append(Answered(question, _("Yes") if value else _("No"), "yes" if value else "no", weight * value))
    return known


@register.simple_tag
def checklist() -> dict[str, int]:
    """The figures of the 7-point checklist: the highest score, and the score from which a doctor is advised."""
    return {"highest": MAX_SCORE, "refers": CHECKLIST_REFERS}


@register.simple_tag
def body_outline() -> dict[str, str | int]:
    """The outline of the body map and the size of the drawing."""
    return {"path": SILHOUETTE, "width": WIDTH, "height": HEIGHT}


@register.inclusion_tag("diagnoses/lesions/partials/reminder_offer.html", takes_context=True)
def reminder_offer(context: template.Context, photo: Photo) -> dict[str, Any]:
    """Under a result: the reminder of its spot, set or offered, if the spot may have one. Else empty."""
    user = context.get("user")
    if user is None or photo.owner_id != user.pk or photo.lesion is None or photo.is_waiting:
        return {}
    if reminder_refusal(photo.lesion) is not None:
        return {}
    reminder = Reminder.objects.standing().filter(lesion=photo.lesion).first()
    # The form's `csrf_token` tag needs it, because an inclusion tag has its own context.
    return {
        "lesion": photo.lesion,
        "reminder": reminder,
        "offers": offered_days(),
        "csrf_token": context.get("csrf_token"),
    }


@register.filter
def site_anchor(site: str) -> str:
    """ "head/neck" -> "site-head-neck", the id of its section; "" -> "site-none"."""
    return f"site-{slugify(site.replace('/', ' ')) or 'none'}"
