"""The operator notices on the admin's first page."""

from typing import Any

from django import template

from diagnoses.monitoring.notices import Level, notices

register = template.Library()


@register.inclusion_tag("admin/home/operator_notices.html")
def operator_notices() -> dict[str, Any]:
    """All notices, grouped by urgency."""
    found = notices()
    groups = {level.name.lower(): [notice for notice in found if notice.level == level] for level in Level}
    return {**groups, "is_calm": not groups["now"] and not groups["soon"]}
