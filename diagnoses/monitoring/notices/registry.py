"""`Notice`, the list of sources that make them, and how they write lengths of time."""

import enum
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils.translation import gettext as _

from diagnoses.templatetags.words import duration

logger = logging.getLogger(__name__)


class Level(enum.IntEnum):
    """How soon somebody should do something; the first come first."""

    NOW = 0
    """People wait in vain, or something may be lost."""
    SOON = 1
    """Look at it today."""
    GOING_ON = 2
    """Work in progress: nothing to do."""
    WELL = 3
    """Looked at and found in order."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that was found: a whole sentence, and where to look (`path`, with the words of the link)."""

    level: Level
    text: str
    path: str = ""
    link: str = ""


Source = Callable[[], Iterable[Notice]]

_sources: Final[dict[str, Source]] = {}


def register(name: str, source: Source) -> None:
    """Ask `source` as well whenever somebody looks. The same name again replaces the earlier source."""
    _sources[name] = source


def notices() -> list[Notice]:
    """What all sources found, the most urgent first and otherwise in the order of the sources.

    A source that fails becomes a notice itself: the page that says what is wrong must not fail because of it.
    """
    found: list[Notice] = []
    for name, source in _sources.items():
        try:
            found += source()
        except Exception:
            logger.exception("The check %r of the admin's first page failed.", name)
            found.append(
                Notice(Level.SOON, _("The check “%(name)s” of this page failed; the log says why.") % {"name": name})
            )
    return sorted(found, key=lambda notice: notice.level)


def length_of(time: timedelta) -> str:
    """The time in its largest fitting unit, as everywhere on the site: "3 minutes", "2 hours"."""
    return duration(max(0, int(time.total_seconds())))
