"""What the clinicians' pages print."""

from django import template
from django.utils.translation import gettext

register = template.Library()


@register.filter
def measured(share: float) -> str:
    """A share that was counted, as per cent: 1.0 -> "100 %". What a classifier is sure of is `percent`'s business."""
    return gettext("%(number)d %%") % {"number": round(share * 100)}
