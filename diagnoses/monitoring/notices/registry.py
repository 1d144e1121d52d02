"""`Notice`, the registry of sources, and the text of time spans."""

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
    """How soon somebody should act, the most urgent first."""

    NOW = 0
    """People are affected, or something may be lost."""
    SOON = 1
    """Should be checked today."""
    GOING_ON = 2
    """Work in progress: nothing to do."""
    WELL = 3
    """Checked and in order."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice: a whole sentence, and a link (`path` with its text `link`)."""

    level: Level
    text: str
    path: str = ""
    link: str = ""


NoticeSource = Callable[[], Iterable[Notice]]

_sources: Final[dict[str, NoticeSource]] = {}


def register(name: str, source: NoticeSource) -> None:
    """Add a source. A source with the same name replaces the earlier one."""
    _sources[name] = source


def notices() -> list[Notice]:
    """The notices of all sources, the most urgent first, otherwise in the order of registration.

    A source that fails becomes a notice, so that the page itself does not fail.
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
    """The time span in its largest fitting unit: "3 minutes", "2 hours"."""
    return duration(max(0, int(time.total_seconds())))
