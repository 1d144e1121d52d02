"""Test figures stay closed until somebody asks: who opened those of which evaluation, and how often for a test split.

Candidates are chosen by their validation figures. If test figures were looked at each time, the choice would be made by
them, and they would say nothing any more about pictures that nobody has seen.
"""

from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import AuditEntry, User
from training.models import Evaluation, TestOpening
from training.services.jobs import require_administrator

REASON_LENGTH: Final = 500
"""Most characters of a reason that are kept."""


def figures_open(evaluation: Evaluation) -> bool:
    """Whether the test figures may be shown: its classifier is or was live, or somebody has opened them.

    With a classifier that went live the choice is made, so its figures are no secret.
    """
    return evaluation.classifier.promoted is not None or TestOpening.objects.filter(evaluation=evaluation).exists()


def open_figures(*, evaluation: Evaluation, by: User | None, reason: str = "") -> None:
    """Open the test figures of an evaluation, with an audit entry; nothing if they are open. `by` is None in the shell.

    Raises NotAllowed unless `by` is an administrator.
    """
    require_administrator(by)
    with transaction.atomic():
        # The lock makes two simultaneous requests one opening.
        locked = Evaluation.objects.select_for_update(of=("self",)).select_related("classifier").get(pk=evaluation.pk)
        if figures_open(locked):
            return
        reason = reason.strip()[:REASON_LENGTH]
        TestOpening.objects.create(evaluation=locked, opened_by=by, reason=reason)
        audit.record(
            actor=by,
            action=AuditEntry.Action.TEST_FIGURES_OPENED,
            subject=f"classifier:{locked.classifier_id}",
            version=locked.classifier.version,
            fingerprint=locked.fingerprint,
            reason=reason,
        )


def times_opened(fingerprint: str) -> int:
    """How often the figures of candidates on the test split with this fingerprint were opened."""
    return TestOpening.objects.filter(evaluation__fingerprint=fingerprint).count()


def said_of_openings(fingerprint: str) -> str:
    """A sentence about `times_opened`, for pages and commands."""
    times = times_opened(fingerprint)
    if not times:
        return _("The test figures of no candidate have been opened for this test split.")
    return _("Test figures of candidates opened for this test split: %(times)s.") % {"times": times}
