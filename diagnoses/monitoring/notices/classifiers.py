"""Notices about the live classifier: whether there is one, alarms, index of similar cases, drift."""

from collections.abc import Iterator

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from diagnoses.classifiers.models import Classifier
from diagnoses.labels import DIAGNOSIS_NAMES, IMAGE_TYPE_NAMES
from diagnoses.monitoring.drift import KindDrift, measure_drift
from diagnoses.monitoring.models import ClassifierAlarm
from diagnoses.monitoring.notices.registry import Level, Notice
from diagnoses.similar.models import FeatureIndex
from recognition.taxonomy import DERMOSCOPIC


def live() -> Iterator[Notice]:
    """Which classifier is live since when, and whether its bundle has a problem."""
    path, link = reverse("admin:diagnoses_classifier_changelist"), _("Classifiers")
    classifier = Classifier.objects.defer("manifest").live()
    if classifier is None:
        yield Notice(Level.NOW, _("No classifier is live: photos wait until one is promoted."), path, link)
    elif classifier.fault:
        said = _("Workers refuse the live classifier %(version)s: %(fault)s")
        yield Notice(Level.NOW, said % {"version": classifier, "fault": classifier.fault}, path, link)
    else:
        assert classifier.promoted is not None  # guaranteed by a constraint of the table
        when = date_format(localtime(classifier.promoted), "DATE_FORMAT")
        said = _("The classifier %(version)s has been live since %(when)s.") % {"version": classifier, "when": when}
        yield Notice(Level.WELL, said, path, link)


def alarms() -> Iterator[Notice]:
    """Active alarms. docs/operations.md (Alarms) says what to do."""
    ringing = ClassifierAlarm.objects.ringing().select_related("classifier").defer("classifier__manifest")
    for alarm in ringing:
        if alarm.code == "constant":
            said = _(
                "Since %(when)s the live classifier %(version)s says nearly the same of whatever it is shown (its last "
                "%(count)s different pictures taken %(kind)s). Its answers must not be relied on; docs/operations.md, "
                "Alarms, says what to look at."
            )
        else:
            said = _(
                "Since %(when)s the live classifier %(version)s calls nearly everything %(name)s (its last %(count)s "
                "different pictures taken %(kind)s). Its answers must not be relied on; docs/operations.md, Alarms, "
                "says what to look at."
            )
        code = str(alarm.detail.get("diagnosis", ""))
        words = {
            "when": date_format(localtime(alarm.raised), "DATETIME_FORMAT"),
            "version": alarm.classifier.version,
            "count": alarm.detail.get("predictions", ""),
            "name": DIAGNOSIS_NAMES.get(code, code),
            "kind": IMAGE_TYPE_NAMES[alarm.detail.get("image_type", DERMOSCOPIC)],
        }
        path = reverse("admin:diagnoses_classifier_changelist")
        yield Notice(Level.NOW, said % words, path, _("Put an earlier classifier back"))


def index() -> Iterator[Notice]:
    """Pictures that are not yet in the index of similar cases of the live classifier."""
    row = FeatureIndex.objects.filter(classifier__stage=Classifier.Stage.LIVE, waiting__gt=0).first()
    if row is not None:
        said = ngettext(
            "Similar cases: %(count)d picture waits for its place in the index.",
            "Similar cases: %(count)d pictures wait for their place in the index.",
            row.waiting,
        )
        path = reverse("admin:diagnoses_featureindex_changelist")
        yield Notice(Level.GOING_ON, said % {"count": row.waiting}, path, _("Indexes of similar cases"))


def drift() -> Iterator[Notice]:
    """Drift in the answers of the live classifier or in the clinicians' agreement with them, by kind of picture."""
    classifier = Classifier.objects.live()
    if classifier is None:
        return
    path, link = reverse("admin:diagnoses_classifier_drift"), _("Drift")
    drift = measure_drift(classifier)
    for kind in drift.kinds:
        for level, said in _moved(kind):
            yield Notice(level, said % {"kind": IMAGE_TYPE_NAMES[kind.image_type]}, path, link)
    if drift.is_quiet:
        yield Notice(Level.WELL, _("No drift is seen in the answers of the live classifier."), path, link)
    elif drift.is_unknown:
        said = _("There are too few answers of the live classifier yet to say anything about drift.")
        yield Notice(Level.WELL, said, path, link)


def _moved(kind: KindDrift) -> Iterator[tuple[Level, str]]:
    """What has moved for one kind of picture."""
    if kind.has_agreement_fallen:
        yield (
            Level.NOW,
            _("Pictures %(kind)s: clinicians agree with the live classifier less often than with the one before it."),
        )
    if kind.lately.has_moved:
        said = _(
            "Pictures %(kind)s: what the live classifier answers lately differs from what it answered before: other "
            "pictures arrive."
        )
        yield Level.SOON, said
    if kind.has_moved_since_promotion:
        yield (
            Level.SOON,
            _("Pictures %(kind)s: since the promotion the answers are distributed otherwise than before it."),
        )
    if kind.has_moved_since_sealing:
        said = _(
            "Pictures %(kind)s: the answers are distributed otherwise than those to the pictures on which the "
            "classifier was calibrated, so its percentages may not hold."
        )
        yield Level.SOON, said
