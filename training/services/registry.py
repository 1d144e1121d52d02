"""Which classifier is live, and who may change that: gates, promotion, the way back.

The swap itself is `promote_classifier`: one transaction with its audit entry, and the workers load the new bundle
before their next photo. Here is what has to be true first.
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
"""How much balanced accuracy a successor may lose: about half the width of its 95 % interval on 1,250 test images, so
that chance alone rarely refuses an equal one."""

MELANOMA_MARGIN: Final = 0.03
"""The same for the share of melanomas called melanoma. About four of the 146 melanomas of the subset's test split."""

REASON_LENGTH: Final = 15
"""Characters at least of the reason for going against a gate: a sentence, not a dot."""


class PromotionRefused(Exception):
    """A gate stands in the way; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: `code` for machines, `passed`, and what was seen in words."""

    code: str
    passed: bool
    said: str


def gates(classifier: Classifier) -> list[Gate]:
    """What was seen at each gate between this classifier and going live, in order."""
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
        return [*found, Gate("same_test", False, said)]
    candidate, lived = pair
    names = {"dataset": candidate.dataset.name, "print": candidate.fingerprint[:12]}
    found.append(Gate("same_test", True, _("Both measured on the test split of %(dataset)s (%(print)s).") % names))
    independent = bool(candidate.metrics.get("sealed_before_training"))
    found.append(
        Gate(
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
        found.append(Gate(code, passed, _("%(name)s %(ours)s, live %(theirs)s, margin %(margin)s.") % values))
    return found


def promote(*, classifier: Classifier, by: User | None, reason: str = "", override: bool = False) -> Classifier:
    """Make a classifier the live one, through the gates. `by` is None for the shell.

    With `override` a closed gate is passed by a written reason, which is kept in the audit log with the gate's name.
    Raises NotAllowed, PromotionRefused, and BundleError when the stored files are not whole.
    """
    require_administrator(by)
    reason = reason.strip()
    with transaction.atomic():
        # The live one must not change between the look at the gates and the swap.
        list(Classifier.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
        closed = [gate for gate in gates(classifier) if not gate.passed]
        # Another order of diagnoses would put wrong names on every answer: no reason makes that right.
        if closed and (not override or closed[0].code == "same_taxonomy"):
            raise PromotionRefused(" ".join(gate.said for gate in closed))
        if closed and len(reason) < REASON_LENGTH:
            raise PromotionRefused(
                _("Write down why the gates should not count (at least %(n)s characters); it goes into the audit log.")
                % {"n": REASON_LENGTH}
            )
        if closed:
            reason = f"against {', '.join(gate.code for gate in closed)}: {reason}"
        return promote_classifier(classifier=classifier, by=by, reason=reason)


def rolled_back_to() -> Classifier | None:
    """The classifier that was live before the present one, or None."""
    return (
        Classifier.objects.filter(stage=Classifier.Stage.RETIRED, promoted__isnull=False).order_by("-promoted").first()
    )


def roll_back(*, by: User | None, reason: str = "") -> Classifier:
    """Make the previous classifier live again: no gates, it has been live before. Raises as `promote` does."""
    require_administrator(by)
    with transaction.atomic():
        list(Classifier.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
        previous = rolled_back_to()
        if previous is None:
            raise PromotionRefused(_("No other classifier has been live before: there is nothing to go back to."))
        return promote_classifier(classifier=previous, by=by, reason=f"roll back: {reason.strip()}".removesuffix(": "))


def common_evaluations(classifier: Classifier, live: Classifier) -> tuple[Evaluation, Evaluation] | None:
    """The newest pair of evaluations of the two on the same test images."""
    theirs = {each.fingerprint: each for each in Evaluation.objects.filter(classifier=live).defer("predictions")}
    ours = Evaluation.objects.filter(classifier=classifier).select_related("dataset").defer("predictions")
    return next(((each, theirs[each.fingerprint]) for each in ours if each.fingerprint in theirs), None)


def balanced_accuracy(evaluation: Evaluation) -> float | None:
    """Of an evaluation's figures."""
    return _value(evaluation.metrics.get("balanced_accuracy"))


def melanoma_sensitivity(evaluation: Evaluation) -> float | None:
    """Share of the melanomas whose most probable diagnosis is melanoma."""
    return _value(evaluation.metrics.get("per_diagnosis", {}).get("MEL", {}).get("sensitivity"))


def _same_taxonomy(classifier: Classifier) -> Gate:
    same = tuple(classifier.manifest.get("diagnoses", ())) == CODES
    order = " ".join(CODES)
    said = _("Its outputs are %(order)s.") if same else _("Its outputs are not %(order)s: every answer would be wrong.")
    return Gate("same_taxonomy", same, said % {"order": order})


def _value(figure: Any) -> float | None:
    return None if not isinstance(figure, dict) else figure.get("value")


def _said(value: float | None) -> str:
    return _("unknown") if value is None else f"{value:.3f}"
