"""The registry of classifiers: the gates before promotion, promotion, and roll back.

`promote_classifier` makes the change, in one transaction with its audit entry; workers load the new bundle before their
next photo. The conditions for that are here. Whoever asks for a promotion opens the test figures of the candidate
(`training.services.openings`), which the gates compare with those of the live classifier (`comparison`).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import AuditEntry, User
from diagnoses.classifiers.description import describe
from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import came_by_itself, promote_classifier
from diagnoses.labels import IMAGE_TYPE_NAMES
from recognition.evaluation.bootstrap import Estimate
from recognition.taxonomy import CODES, DERMOSCOPIC, IMAGE_TYPES
from training.models import Dataset, Evaluation, Example
from training.models.evaluation import PREDICTIONS_FORMAT
from training.services.comparison import AUC_FLOOR, Difference, answers_of, auc_of, compare, figures_of
from training.services.jobs import require_administrator
from training.services.openings import figures_open, open_figures

REASON_LENGTH: Final = 15
"""Minimum length of the reason for an override, so that it is a sentence."""

ASKED: Final = "its promotion was asked for"
"""The reason that is kept when a promotion opens test figures."""


class PromotionRejected(Exception):
    """A gate is not passed; the message says which one and what to do."""


@dataclass(frozen=True, slots=True)
class PromotionGate:
    """One condition of promotion: `code` for programs, `passed`, and the finding in words."""

    code: str
    passed: bool
    said: str


@dataclass(frozen=True, slots=True)
class Measured:
    """The evaluations by which a promotion is judged for one kind of picture, both on the same test pictures.

    `live` is None if no classifier is live, or if the live one refuses this kind.
    """

    candidate: Evaluation
    live: Evaluation | None


@dataclass(frozen=True, slots=True)
class Admission:
    """Why a classifier could go live: it passed its gates, or a written `reason` overrides the `closed` ones."""

    closed: tuple[str, ...]
    reason: str


def conditions(classifier: Classifier) -> list[PromotionGate]:
    """The gates that need no test figures: outputs, kinds of picture, common and unseen test pictures."""
    found = [_same_taxonomy(classifier)]
    live = Classifier.objects.live()
    if live is not None and live.pk == classifier.pk:
        return found
    found.append(_same_image_types(classifier, live))
    measured = measured_for(classifier, live)
    for image_type in _kinds(classifier):
        found.append(_is_measured(image_type, measured.get(image_type), classifier, _judges(live, image_type)))
    return found + [_unseen_test(evaluation) for evaluation in evaluations_used(measured)]


def gates(classifier: Classifier) -> list[PromotionGate]:
    """The result of each gate that this classifier must pass to go live, in order, with its test figures.

    Call `ask_for_promotion` first: what is shown of this is an opening of the test figures.
    """
    found = conditions(classifier)
    live = Classifier.objects.live()
    if live is not None and live.pk == classifier.pk:
        return found
    for image_type, pair in measured_for(classifier, live).items():
        found += _judged(pair, image_type)
    return found


def ask_for_promotion(*, classifier: Classifier, by: User | None) -> list[PromotionGate]:
    """Open the test figures that a promotion is judged by, and return all gates. `by` is None for the shell.

    Raises NotAllowed.
    """
    require_administrator(by)
    live = Classifier.objects.live()
    if live is None or live.pk != classifier.pk:
        for evaluation in evaluations_used(measured_for(classifier, live)):
            open_figures(evaluation=evaluation, by=by, reason=ASKED)
    return gates(classifier)


def is_asked_for(classifier: Classifier) -> bool:
    """Whether the test figures that its promotion is judged by are open, so that all gates may be shown."""
    return all(figures_open(each) for each in evaluations_used(measured_for(classifier, Classifier.objects.live())))


def promote(*, classifier: Classifier, by: User | None, reason: str = "", override: bool = False) -> Classifier:
    """Make a classifier the live one, if it passes the gates. `by` is None for the shell. Opens its test figures.

    With `override` a written reason is enough to pass a closed gate; the audit log keeps it with the name of the gate.
    Raises NotAllowed, PromotionRejected, and BundleError if the stored files are not whole.
    """
    # Before the transaction: a promotion that is refused has opened the figures all the same.
    ask_for_promotion(classifier=classifier, by=by)
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
        return promote_classifier(
            classifier=classifier, by=by, reason=reason, closed_gates=[gate.code for gate in closed]
        )


def admission_of(classifier: Classifier) -> Admission | None:
    """Why this classifier could go live the last time. None if it never passed gates and nobody overrode them.

    The default classifier that came with the installation counts as one that passed. Promotions of before November 2026
    do not: their gates looked at the most probable diagnosis alone, and roll back had none.
    """
    promotions = AuditEntry.objects.filter(
        action=AuditEntry.Action.CLASSIFIER_PROMOTED, subject=f"classifier:{classifier.pk}"
    )
    for entry in promotions:
        if "closed_gates" in entry.detail:
            return Admission(tuple(entry.detail["closed_gates"]), str(entry.detail.get("reason", "")))
        if came_by_itself(entry):
            return Admission((), "")
    return None


def rolled_back_to() -> Classifier | None:
    """The classifier that a roll back would choose: of those that were live and were admitted, the last one."""
    retired = Classifier.objects.filter(stage=Classifier.Stage.RETIRED, promoted__isnull=False).order_by("-promoted")
    return next((each for each in retired if admission_of(each) is not None), None)


def roll_back(*, to: Classifier, by: User | None, reason: str = "") -> Classifier:
    """Make `to` live again, the classifier of `rolled_back_to` that somebody was shown. Raises as `promote`.

    Its gates are not asked again: it passed them, or the reason against them is written (`admission_of`).
    """
    require_administrator(by)
    with transaction.atomic():
        list(Classifier.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
        previous = rolled_back_to()
        if previous is None:
            raise PromotionRejected(_("No other classifier that passed its gates has been live: there is no way back."))
        if previous.pk != to.pk:
            raise PromotionRejected(
                _("Another classifier has gone live meanwhile, so this would lead to %(version)s. Look again.")
                % {"version": previous}
            )
        return promote_classifier(classifier=previous, by=by, reason=f"roll back: {reason.strip()}".removesuffix(": "))


def measured_for(classifier: Classifier, live: Classifier | None) -> dict[str, Measured]:
    """By which evaluations each kind of picture is judged: those with the most pictures of the kind.

    A kind that the live one refuses is judged alone: people get answers that they did not get before. Kinds without a
    test picture that both were measured on are missing.
    """
    theirs = {each.fingerprint: each for each in _evaluations(live)} if live is not None else {}
    ours = _evaluations(classifier)
    found = {}
    for image_type in _kinds(classifier):
        if _judges(live, image_type) is None:
            pairs = [Measured(each, None) for each in ours]
        else:
            pairs = [Measured(each, theirs[each.fingerprint]) for each in ours if each.fingerprint in theirs]
        counted = [(_pictures(pair.candidate.dataset, image_type), -place) for place, pair in enumerate(pairs)]
        most = max(counted, default=(0, 0))
        if most[0]:
            found[image_type] = pairs[-most[1]]
    return found


def evaluations_used(measured: dict[str, Measured]) -> list[Evaluation]:
    """The evaluations of the candidate, each once."""
    return list({pair.candidate.pk: pair.candidate for pair in measured.values()}.values())


def _evaluations(classifier: Classifier) -> list[Evaluation]:
    """Its evaluations that keep decisions, newest first."""
    rows = Evaluation.objects.filter(classifier=classifier, predictions_format=PREDICTIONS_FORMAT)
    return list(rows.select_related("classifier", "dataset").defer("predictions", "dataset__eda", "dataset__report"))


def _kinds(classifier: Classifier) -> list[str]:
    """The kinds of picture that it knows, in the order of `IMAGE_TYPES`."""
    known = describe(classifier.manifest).image_types
    return [each for each in IMAGE_TYPES if each in known]


def _judges(live: Classifier | None, image_type: str) -> Classifier | None:
    """The live classifier, if it knows this kind of picture."""
    return live if live is not None and image_type in describe(live.manifest).image_types else None


def _pictures(dataset: Dataset, image_type: str) -> int:
    """How many test pictures of this kind a data set has; a picture without a kind is dermoscopic."""
    kind = Q(image_type=image_type) | (Q(image_type="") if image_type == DERMOSCOPIC else Q())
    return dataset.measurable().filter(kind, split=Example.Split.TEST).count()


def _same_taxonomy(classifier: Classifier) -> PromotionGate:
    same = tuple(classifier.manifest.get("diagnoses", ())) == CODES
    order = " ".join(CODES)
    said = _("Its outputs are %(order)s.") if same else _("Its outputs are not %(order)s: every answer would be wrong.")
    return PromotionGate("same_taxonomy", same, said % {"order": order})


def _same_image_types(classifier: Classifier, live: Classifier | None) -> PromotionGate:
    ours = describe(classifier.manifest).image_types
    theirs = describe(live.manifest).image_types if live is not None else ()
    lost = [each for each in theirs if each not in ours]
    if lost:
        said = _("It does not know pictures taken %(kinds)s, and would refuse them; the live one judges them.")
        return PromotionGate("image_types", False, said % {"kinds": kinds_said(lost)})
    said = _("It knows every kind of picture that the live one knows. Kinds that it knows: %(kinds)s.")
    return PromotionGate("image_types", True, said % {"kinds": kinds_said(ours)})


def _is_measured(
    image_type: str, pair: Measured | None, classifier: Classifier, live: Classifier | None
) -> PromotionGate:
    code = f"{image_type}/same_test"
    words = {"kind": kinds_said([image_type]), "candidate": classifier, "live": live}
    if pair is not None:
        words |= {"dataset": pair.candidate.dataset.name, "print": pair.candidate.fingerprint[:12]}
        return PromotionGate(
            code, True, _("Pictures taken %(kind)s: measured on the test split of %(dataset)s (%(print)s).") % words
        )
    if live is None:
        said = _(
            "Pictures taken %(kind)s: %(candidate)s was not measured on any. Evaluate it on a data set that has them, "
            "on its page or with manage.py evaluate VERSION --dataset NAME."
        )
    else:
        said = _(
            "Pictures taken %(kind)s: %(candidate)s and the live %(live)s were not measured on the same test images, "
            "or before decisions were kept. Evaluate both on one data set that has them, on their pages or with "
            "manage.py evaluate VERSION --dataset NAME."
        )
    return PromotionGate(code, False, said % words)


def _unseen_test(evaluation: Evaluation) -> PromotionGate:
    independent = bool(evaluation.metrics.get("sealed_before_training"))
    said = (
        _("The test images of %(dataset)s were kept from its training.")
        if independent
        else _(
            "It, or a classifier it continues, was trained on another split than that of %(dataset)s, perhaps on some "
            "of these test images: its figures may flatter it."
        )
    )
    return PromotionGate("unseen_test", independent, said % {"dataset": evaluation.dataset.name})


def _judged(pair: Measured, image_type: str) -> list[PromotionGate]:
    """The gates of the test figures of one kind of picture."""
    floor, area, differences = _compared_figures(pair.candidate.pk, pair.live.pk if pair.live else None, image_type)
    words = {"kind": kinds_said([image_type]), "floor": f"{floor:.2f}"}
    if area is None:
        said = _("Pictures taken %(kind)s: too few lesions to say how well it tells cancers from others.") % words
    else:
        words |= {"value": f"{area.value:.3f}", "low": f"{area.low:.3f}", "high": f"{area.high:.3f}"}
        said = (
            _(
                "Pictures taken %(kind)s: malignant AUC %(value)s (%(low)s to %(high)s); the lower end must reach "
                "%(floor)s, whatever is live."
            )
            % words
        )
    passed = area is not None and area.low >= floor
    return [
        PromotionGate(f"{image_type}/floor", passed, said),
        *(_as_gate(difference, image_type) for difference in differences),
    ]


@lru_cache(maxsize=32)
def _compared_figures(
    candidate: int, live: int | None, image_type: str
) -> tuple[float, Estimate | None, tuple[Difference, ...]]:
    """The floor of the AUC, the candidate's AUC, and its differences from the live one, by keys of evaluations.

    Evaluations never change, so the pages that show a promotion need not compute this each time (a second or two).
    """
    answers = answers_of(_with_predictions(candidate), image_type)
    differences = []
    if live is not None:
        differences = compare(answers, answers_of(_with_predictions(live), image_type))
    return AUC_FLOOR[image_type], auc_of(answers), tuple(differences)


def _as_gate(difference: Difference, image_type: str) -> PromotionGate:
    criterion = difference.criterion
    code = f"{image_type}/{criterion.name}"
    words: dict[str, object] = {
        "kind": kinds_said([image_type]),
        "name": figure_name(criterion.name),
        "lesions": difference.lesions,
    }
    if difference.interval is None:
        said = _("Pictures taken %(kind)s: %(name)s: too few to say (%(lesions)s lesions).")
        return PromotionGate(code, False, said % words)
    words |= {
        "candidate": f"{difference.candidate:.3f}",
        "live": f"{difference.live:.3f}",
        "value": f"{difference.interval.value:+.3f}",
        "low": f"{difference.interval.low:+.3f}",
        "high": f"{difference.interval.high:+.3f}",
    }
    if criterion.more_is_better:
        words["limit"] = f"{-criterion.margin:+.2f}"
        said = _(
            "Pictures taken %(kind)s: %(name)s %(candidate)s, live %(live)s. Difference %(value)s (%(low)s to %(high)s "
            "on %(lesions)s lesions); its lower end must be above %(limit)s."
        )
    else:
        words["limit"] = f"{criterion.margin:+.2f}"
        said = _(
            "Pictures taken %(kind)s: %(name)s %(candidate)s, live %(live)s. Difference %(value)s (%(low)s to %(high)s "
            "on %(lesions)s lesions); its upper end must be below %(limit)s."
        )
    return PromotionGate(code, difference.passed, said % words)


def side_by_side(classifier: Classifier, live: Classifier) -> list[tuple[str, str, float, float]]:
    """Rows (kind of picture, figure, of the classifier, of the live one) on common test pictures; NaN for none.

    Only for a classifier whose test figures are open, such as one that was live before.
    """
    rows = []
    for image_type, pair in measured_for(classifier, live).items():
        if pair.live is None:
            continue  # the live one refuses this kind
        ours, theirs = (
            figures_of(answers_of(_with_predictions(each.pk), image_type)) for each in (pair.candidate, pair.live)
        )
        rows += [(kinds_said([image_type]), figure_name(name), ours[name], theirs[name]) for name in ours]
    return rows


def figure_name(name: str) -> str:
    """A figure of `recognition.evaluation.measure.main_metrics` in words."""
    return {
        "sensitivity": _("sensitivity for cancers at “soon” or more"),
        "melanoma_sensitivity": _("sensitivity for melanoma at “soon” or more"),
        "specificity": _("specificity of the advice"),
        "malignant_auc": _("malignant AUC"),
        "malignant_calibration_error": _("calibration error of the malignant score"),
        "not_assessed": _("share not assessed"),
    }[name]


def kinds_said(image_types: list[str] | tuple[str, ...]) -> str:
    """Kinds of picture in words: "through a dermatoscope, with a phone or a camera"."""
    return ", ".join(str(IMAGE_TYPE_NAMES[each]) for each in image_types) or _("none")


def _with_predictions(pk: int) -> Evaluation:
    return Evaluation.objects.select_related("classifier", "dataset").get(pk=pk)
