"""Operator notices on the admin's first page, most urgent first.

A source checks one thing with a few bounded queries and yields `Notice`s. The sources of this app are in this package.
Another app registers its own sources in `AppConfig.ready`, so that this package does not import it.
"""

from diagnoses.monitoring.notices.registry import Level, Notice, NoticeSource, notices, register

__all__ = ["Level", "Notice", "NoticeSource", "notices", "register"]
