"""What needs an administrator's attention, most urgent first.

A source looks at one thing with a few bounded queries and says what it found as `Notice`s. The sources of this app
are in this package; an app that builds on it registers its own from its `AppConfig.ready`, so that nothing here knows
of it.
"""

from diagnoses.monitoring.notices.registry import Level, Notice, Source, notices, register

__all__ = ["Level", "Notice", "Source", "notices", "register"]
