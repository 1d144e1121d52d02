"""Own how lengths of time and sizes are written in notices."""

from datetime import timedelta

from diagnoses.templatetags.words import duration


def length_of(time: timedelta) -> str:
    """The time in its largest fitting unit, as everywhere on the site: "3 minutes", "2 hours"."""
    return duration(max(0, int(time.total_seconds())))
