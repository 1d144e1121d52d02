"""What the admin's first page prints: alarms about the live classifier, and how far the index of similar cases is."""

from typing import Any

from django import template

from diagnoses.models import Classifier, ClassifierAlarm, FeatureIndex

register = template.Library()


@register.inclusion_tag("admin/diagnoses/state.html")
def classifier_state() -> dict[str, Any]:
    """Alarms that ring, and the index of the live classifier while pictures wait for it."""
    alarms = list(ClassifierAlarm.objects.ringing().select_related("classifier").defer("classifier__manifest"))
    index = FeatureIndex.objects.filter(classifier__stage=Classifier.Stage.LIVE, waiting__gt=0).first()
    return {"alarms": alarms, "index": index}
