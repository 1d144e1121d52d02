"""The registry of classifiers: the gates before promotion, promotion, and roll back.

`promote_classifier` makes the change, in one transaction with its audit entry; workers load the new bundle before their
next photo. The conditions for that are here.
"""

from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import promote_classifier
from recognition.taxonomy import CODES
from training.models import Evaluation
from training.services.jobs import require_administrator

BALANCED_ACCURACY_MARGIN: Final = 0.02
"""How much balanced accuracy a new classifier may lose. It is about half the width of the 95 % interval on 1,250 test
images, so that an equally good classifier is rarely refused by chance."""

MELANOMA_MARGIN: Final = 0.03
"""The same for the share of melanomas called melanoma. About four of the 146 melanomas of the subset's test split."""

REASON_LENGTH: Final = 15
"""Minimum length of the reason for an override, so that it is a sentence."""


class PromotionRejected(Exception):
    """A gate is not passed; the message says which one and what to do."""


@dataclass(frozen=True, slots=True)
class PromotionGate:
    """One condition of promotion: `code` for programs, `passed`, and the finding in words."""

    code: str
    passed: bool
    said: str


def gates(classifier: Classifier) -> list[PromotionGate]:
    """The result of each gate that this classifier must pass to go live, in order."""
    found = [_same_taxonomy(classifier)]
    live = Classifier.objects.live()
    if live is None or live.pk == classifier.pk:
        return found
    pair = common_evaluations(classifier, live)
    if pair is None:
        said = _(
            "%(candidate)s and the live %(live)s were not measured on the same test images. Evaluate both on one data "
            "set, on their pages or with manage.py evaluate VERSION --dataset NAME."
        ) % {"candidate": classifier, "live": live}
        return [*found, PromotionGate("same_test", False, said)]
    candidate, lived = pair
    names = {"dataset": candidate.dataset.name, "print": candidate.fingerprint[:12]}
    found.append(
        PromotionGate("same_test", True, _("Both measured on the test split of %(dataset)s (%(print)s).") % names)
    )
    independent = bool(candidate.metrics.get("sealed_before_training"))
    found.append(
        PromotionGate(
            "unseen_test",
            independent,
            _("The test images were kept from its training.")
            if independent
            else _(
                "It, or a classifier it continues, was trained on another split, perhaps on some of these test images: "
                "its figures may flatter it."
            ),
        )
    )
    for code, name, margin, figure in (
        ("balanced_accuracy", _("Balanced accuracy"), BALANCED_ACCURACY_MARGIN, balanced_accuracy),
        ("melanoma", _("Melanoma sensitivity"), MELANOMA_MARGIN, melanoma_sensitivity),
    ):
        ours, theirs = figure(candidate), figure(lived)
        passed = ours is not None and (theirs is None or ours >= theirs - margin)
        values = {"name": name, "ours": _said(ours), "theirs": _said(theirs), "margin": f"{margin:.2f}"}
        found.append(PromotionGate(code, passed, _("%(name)s %(ours)s, live %(theirs)s, margin %(margin)s.") % values))
    return found


def promote(*, classifier: Classifier, by: User | None, reason: str = "", override: bool = False) -> Classifier:
    """Make a classifier the live one, if it passes the gates. `by` is None for the shell.

    With `override` a written reason is enough to pass a closed gate; the audit log keeps it with the name of the gate.
    Raises NotAllowed, PromotionRejected, and BundleError if the stored files are not whole.
    """
    require_administrator(by)
    reason = reason.strip()
    with transaction.atomic():
        # The lock keeps the live classifier from changing between the gates and the promotion.
        list(Classifier.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
        closed = [gate for gate in gates(classifier) if not gate.passed]
        # With another order of diagnoses every answer would have a wrong name: no reason overrides that.
        if closed and (not override or closed[0].code == "same_taxonomy"):
            raise PromotionRejected(" ".join(gate.said for gate in closed))
        if closed and len(reason) < REASON_LENGTH:
            raise PromotionRejected(
                _("Write down why the gates should not count (at least %(n)s characters); it goes into the audit log.")
                % {"n": REASON_LENGTH}
            )
        if closed:
            reason = f"against {', '.join(gate.code for gate in closed)}: {reason}"
        return promote_classifier(classifier=classifier, by=by, reason=reason)


def rolled_back_to() -> Classifier | None:
    """The classifier that was live before the present one: a roll back would choose it. None if there is none."""
    return (
        Classifier.objects.filter(stage=Classifier.Stage.RETIRED, promoted__isnull=False).order_by("-promoted").first()
    )


def roll_back(*, by: User | None, reason: str = "") -> Classifier:
    """Make the previous classifier live again, without gates, since it was live before. Raises as `promote`."""
    require_administrator(by)
    with transaction.atomic():
        list(Classifier.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
        previous = rolled_back_to()
        if previous is None:
            raise PromotionRejected(_("No other classifier has been live before: there is nothing to go back to."))
        return promote_classifier(classifier=previous, by=by, reason=f"roll back: {reason.strip()}".removesuffix(": "))


def common_evaluations(classifier: Classifier, live: Classifier) -> tuple[Evaluation, Evaluation] | None:
    """The newest pair of evaluations of two classifiers on the same test images."""
    theirs = {each.fingerprint: each for each in Evaluation.objects.filter(classifier=live).defer("predictions")}
    ours = Evaluation.objects.filter(classifier=classifier).select_related("dataset").defer("predictions")
    return next(((each, theirs[each.fingerprint]) for each in ours if each.fingerprint in theirs), None)


def balanced_accuracy(evaluation: Evaluation) -> float | None:
    """The balanced accuracy of an evaluation; None if it has none."""
    return _value(evaluation.metrics.get("balanced_accuracy"))


def melanoma_sensitivity(evaluation: Evaluation) -> float | None:
    """Share of the melanomas whose most probable diagnosis is melanoma."""
    return _value(evaluation.metrics.get("per_diagnosis", {}).get("MEL", {}).get("sensitivity"))


def _same_taxonomy(classifier: Classifier) -> PromotionGate:
    same = tuple(classifier.manifest.get("diagnoses", ())) == CODES
    order = " ".join(CODES)
    said = _("Its outputs are %(order)s.") if same else _("Its outputs are not %(order)s: every answer would be wrong.")
    return PromotionGate("same_taxonomy", same, said % {"order": order})


def _value(figure: Any) -> float | None:
    return None if not isinstance(figure, dict) else figure.get("value")


def _said(value: float | None) -> str:
    return _("unknown") if value is None else f"{value:.3f}"
