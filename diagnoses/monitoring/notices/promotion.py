"""Notices around the promotion of a classifier: a newer default that waits, and photos that are judged again."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import default_bundle_sha256
from diagnoses.monitoring.notices.registry import Level, Notice
from diagnoses.photos.rejudging import left_to_judge

SHOWN_FOR: Final = timedelta(days=30)
"""After that, whoever did not promote the newer default has decided to keep the other one."""


def newer_default() -> Iterator[Notice]:
    """The classifier that came with an upgrade waits, because somebody has chosen the live one."""
    live = Classifier.objects.defer("manifest").live()
    newer = Classifier.objects.defer("manifest").filter(
        sha256=default_bundle_sha256(),
        stage=Classifier.Stage.CANDIDATE,
        created__gte=timezone.now() - SHOWN_FOR,
    )
    waiting = newer.first()
    if live is None or waiting is None:
        return
    said = _(
        "A newer classifier, %(newer)s, came with this version of the program. It does not go live by itself, because "
        "somebody chose the live one, %(live)s. Its page says how they compare."
    )
    path = reverse("admin:diagnoses_classifier_change", args=[waiting.pk])
    yield Notice(Level.SOON, said % {"newer": waiting, "live": live}, path, _("Classifier"))


def judged_again() -> Iterator[Notice]:
    """Photos whose advice is “monitor” or “not assessed” from another classifier than the live one."""
    live = Classifier.objects.defer("manifest").live()
    left = left_to_judge(live).count() if live is not None else 0
    if live is not None and left:
        said = ngettext(
            "%(count)d photo that was told “monitor” or “not assessed” is still to be judged again by %(version)s.",
            "%(count)d photos that were told “monitor” or “not assessed” are still to be judged again by %(version)s.",
            left,
        )
        path = reverse("admin:diagnoses_classifier_change", args=[live.pk])
        yield Notice(Level.GOING_ON, said % {"count": left, "version": live}, path, _("Classifier"))
