"""What the admin's first page prints: what needs attention, and what was looked at and is in order."""

from typing import Any

from django import template

from diagnoses.monitoring.notices import Level, notices

register = template.Library()


@register.inclusion_tag("admin/home/operator_notices.html")
def operator_notices() -> dict[str, Any]:
    """All notices, grouped by how soon somebody should do something."""
    found = notices()
    groups = {level.name.lower(): [notice for notice in found if notice.level == level] for level in Level}
    return {**groups, "is_calm": not groups["now"] and not groups["soon"]}
