"""Registers the sources of this app in their order. Called once, when the app is ready."""

from typing import Final

from diagnoses.monitoring.notices import classifiers, machine, people, photos, promotion, reviews
from diagnoses.monitoring.notices.registry import NoticeSource, register

SOURCES: Final[dict[str, NoticeSource]] = {
    "alarms": classifiers.alarms,
    "classifier": classifiers.live,
    "newer-default": promotion.newer_default,
    "judged-again": promotion.judged_again,
    "workers": photos.workers,
    "queue": photos.queue,
    "urgent": reviews.urgent_unread,
    "failures": photos.failures,
    "requested": reviews.requested,
    "second-readings": reviews.second_readings,
    "drift": classifiers.drift,
    "emails": people.emails,
    "consent-texts": people.consent_texts,
    "backup": machine.backup,
    "disk": machine.disk,
    "erasure": machine.erasure,
    "similar-cases": classifiers.index,
}


def register_all() -> None:
    """Register all sources of this app."""
    for name, source in SOURCES.items():
        register(name, source)
