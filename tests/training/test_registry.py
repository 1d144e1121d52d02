"""Promotion: every gate with a classifier that must not pass it, the override with a reason, and roll back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry, Role, User
from accounts.permissions import NotAllowed
from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import DEFAULT_REASON, promote_classifier
from recognition.inference.assessment import Decision
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, MALIGNANT_POSITIONS
from tests.training.registry_factories import (
    COUNTS,
    Predictions,
    answer,
    changed,
    classifier,
    dataset_of_rows,
    made_predictions,
    measured,
)
from tests.training.run_factories import made_dataset
from training import models
from training.evaluation.evaluating import evaluate_classifier
from training.models import Dataset, Evaluation
from training.services.comparison import answers_of, compare
from training.services.registry import (
    PromotionRejected,
    admission_of,
    ask_for_promotion,
    gates,
    is_asked_for,
    promote,
    roll_back,
    rolled_back_to,
)

pytestmark = pytest.mark.django_db

MALIGNANT = ("MEL", "BCC", "SCC")


@pytest.fixture(autouse=True)
def _no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows here have no bundles. The tests of `promote_classifier` check that a broken bundle is not promoted."""
    monkeypatch.setattr("diagnoses.classifiers.services.registered_bundle", lambda classifier: None)


@pytest.fixture
def admin() -> User:
    return User.objects.create_user("admin@example.org", "a long password", role=Role.ADMINISTRATOR)


@pytest.fixture
def dataset() -> Dataset:
    return dataset_of_rows()


@pytest.fixture
def said(dataset: Dataset) -> Predictions:
    """What the live classifier says of the test pictures."""
    return made_predictions(dataset)


def pair(dataset: Dataset, live: Predictions, candidate: Predictions, **metrics: Any) -> tuple[Classifier, Classifier]:
    """A live default classifier and a candidate, measured on the same test images."""
    old, new = classifier("old"), classifier("new")
    promote_classifier(classifier=old, reason=DEFAULT_REASON)
    measured(old, dataset, live)
    measured(new, dataset, candidate, **metrics)
    return old, new


def closed(candidate: Classifier) -> list[str]:
    return [gate.code for gate in gates(candidate) if not gate.passed]


def of(predictions: Predictions, *codes: str, image_type: str = DERMOSCOPIC) -> list[dict[str, Any]]:
    """The answers about the pictures of these diagnoses."""
    return [
        each for image, each in predictions.items() if image.split("-")[0] in codes and each["image_type"] == image_type
    ]


def told(answers: list[dict[str, Any]], decision: Decision, *, every: int, instead_of: tuple[Decision, ...]) -> None:
    """Every so manieth answer with one of these decisions gets another one."""
    chosen = [each for each in answers if each["decision"] in {each.value for each in instead_of}]
    for each in chosen[::every]:
        each["decision"] = decision.value


def misses_cancers(predictions: Predictions) -> None:
    told(of(predictions, "BCC", "SCC"), Decision.MONITOR, every=6, instead_of=(Decision.SOON, Decision.URGENT))


def misses_melanomas(predictions: Predictions) -> None:
    told(of(predictions, "MEL"), Decision.MONITOR, every=5, instead_of=(Decision.SOON, Decision.URGENT))


def sends_everybody(predictions: Predictions) -> None:
    told(of(predictions, "NV", "BKL"), Decision.SOON, every=6, instead_of=(Decision.MONITOR,))


def refuses(predictions: Predictions) -> None:
    told(of(predictions, *CODES), Decision.NOT_ASSESSED, every=12, instead_of=tuple(Decision))


def mixes_up_the_order(predictions: Predictions) -> None:
    """Cancers and moles change places in the order; the advice stays."""
    for one, other in zip(of(predictions, "BCC")[:25], of(predictions, "NV")[:25], strict=True):
        one["probabilities"], other["probabilities"] = other["probabilities"], one["probabilities"]


def exaggerates(predictions: Predictions) -> None:
    """Every malignant score is far too high, in the same order."""
    for each in of(predictions, *CODES):
        table = np.array(each["probabilities"])
        score = table[list(MALIGNANT_POSITIONS)].sum()
        benign = [at for at in range(len(CODES)) if at not in MALIGNANT_POSITIONS]
        table[list(MALIGNANT_POSITIONS)] *= score**0.4 / score
        table[benign] *= (1 - score**0.4) / (1 - score)
        each["probabilities"] = table.tolist()


def guesses(predictions: Predictions) -> None:
    """About as good as a toy network: AUC 0.71."""
    generator = np.random.default_rng(4)
    for image, each in predictions.items():
        logits = generator.normal(size=len(CODES))
        logits[CODES.index(image.split("-")[0])] += 1.0
        powers = np.exp(logits)
        each.update(answer((powers / powers.sum()).tolist(), each["image_type"]))


def test_one_as_good_as_the_live_one_goes_live_in_one_step_with_an_audit_entry(
    admin: User, dataset: Dataset, said: Predictions
) -> None:
    old, new = pair(dataset, said, changed(said))
    assert closed(new) == []
    codes = [gate.code for gate in gates(new)]
    for image_type in (DERMOSCOPIC, CLOSE_UP):
        assert f"{image_type}/melanoma_sensitivity" in codes
    promote(classifier=new, by=admin, reason="better")
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.stage, new.stage) == (Classifier.Stage.RETIRED, Classifier.Stage.LIVE)
    entry = AuditEntry.objects.get(action=AuditEntry.Action.CLASSIFIER_PROMOTED, actor=str(admin.pk))
    assert entry.detail == {"before": "old", "version": "new", "reason": "better", "closed_gates": []}


@pytest.mark.parametrize(
    ("worse", "gate"),
    [
        (misses_cancers, "sensitivity"),
        (misses_melanomas, "melanoma_sensitivity"),
        (sends_everybody, "specificity"),
        (mixes_up_the_order, "malignant_auc"),
        (exaggerates, "malignant_calibration_error"),
        (refuses, "not_assessed"),
        (guesses, "floor"),
    ],
)
def test_a_worse_one_is_refused(
    worse: Callable[[Predictions], None], gate: str, admin: User, dataset: Dataset, said: Predictions
) -> None:
    candidate = changed(said)
    worse(candidate)
    _, new = pair(dataset, said, candidate)
    found = closed(new)
    assert f"{DERMOSCOPIC}/{gate}" in found
    if worse is not guesses:
        assert not [code for code in found if code.startswith(CLOSE_UP)]  # each kind of picture by itself
    with pytest.raises(PromotionRejected):
        promote(classifier=new, by=admin, reason="a reason of some length")
    assert Classifier.objects.live() != new


@pytest.mark.parametrize("worse", [mixes_up_the_order, exaggerates])
def test_a_gate_looks_at_one_figure(worse: Callable[[Predictions], None], dataset: Dataset, said: Predictions) -> None:
    candidate = changed(said)
    worse(candidate)
    _, new = pair(dataset, said, candidate)
    advice = {"sensitivity", "melanoma_sensitivity", "specificity", "not_assessed"}
    assert not {code.split("/")[1] for code in closed(new)} & advice


def test_a_toy_does_not_go_live_where_none_is_live(admin: User, dataset: Dataset, said: Predictions) -> None:
    toy = classifier("toy")
    guesses(said)
    measured(toy, dataset, said)
    assert closed(toy) == [f"{DERMOSCOPIC}/floor", f"{CLOSE_UP}/floor"]
    with pytest.raises(PromotionRejected, match=r"AUC 0\.[67]"):
        promote(classifier=toy, by=admin)
    assert Classifier.objects.live() is None


def test_a_toy_does_not_pass_beside_another_toy(dataset: Dataset, said: Predictions) -> None:
    guesses(said)
    _, new = pair(dataset, said, changed(said))
    assert closed(new) == [f"{DERMOSCOPIC}/floor", f"{CLOSE_UP}/floor"]


def test_one_that_loses_a_kind_of_picture_is_refused(dataset: Dataset, said: Predictions) -> None:
    pair(dataset, said, changed(said))
    narrow = classifier("narrow", image_types=(DERMOSCOPIC,))
    measured(narrow, dataset, changed(said))
    assert closed(narrow) == ["image_types"]
    assert not [gate for gate in gates(narrow) if gate.code.startswith(CLOSE_UP)]


def test_a_live_one_of_one_kind_can_be_followed_by_one_of_both(said: Predictions, dataset: Dataset) -> None:
    old, new = classifier("old", image_types=(DERMOSCOPIC,)), classifier("new")
    promote_classifier(classifier=old, reason=DEFAULT_REASON)
    for each in (old, new):
        measured(each, dataset, said)
    assert closed(new) == []
    codes = [gate.code for gate in gates(new) if gate.code.startswith(CLOSE_UP)]
    assert codes == [f"{CLOSE_UP}/same_test", f"{CLOSE_UP}/floor"], "nothing to compare it with, but the floor holds"


def test_a_kind_that_the_live_one_refuses_has_a_floor_too(said: Predictions, dataset: Dataset) -> None:
    old, new = classifier("old", image_types=(DERMOSCOPIC,)), classifier("new")
    promote_classifier(classifier=old, reason=DEFAULT_REASON)
    measured(old, dataset, said)
    guessing = changed(said)
    guesses(guessing)
    measured(
        new, dataset, {name: guessing[name] if said[name]["image_type"] == CLOSE_UP else said[name] for name in said}
    )
    assert closed(new) == [f"{CLOSE_UP}/floor"]
    unmeasured = classifier("unmeasured")
    phones = dataset_of_rows("dermoscopic", image_types=(DERMOSCOPIC,))
    for each in (old, unmeasured):
        measured(each, phones, made_predictions(phones))
    assert closed(unmeasured) == [f"{CLOSE_UP}/same_test"]


def test_few_lesions_say_nothing_and_do_not_pass() -> None:
    dataset = dataset_of_rows(image_types=(DERMOSCOPIC,), counts={**COUNTS, "MEL": 9}, per_lesion=4)
    said = made_predictions(dataset, skill=4.0)
    old, new = classifier("old", image_types=(DERMOSCOPIC,)), classifier("new", image_types=(DERMOSCOPIC,))
    promote_classifier(classifier=old, reason=DEFAULT_REASON)
    for each in (old, new):
        measured(each, dataset, said)
    assert closed(new) == [f"{DERMOSCOPIC}/melanoma_sensitivity"]  # 36 pictures, but of 9 lesions
    (gate,) = [gate for gate in gates(new) if not gate.passed]
    assert "too few to say (9 lesions)" in gate.said


def test_a_kind_without_common_test_pictures_does_not_pass() -> None:
    dataset = dataset_of_rows(image_types=(DERMOSCOPIC,))
    said = made_predictions(dataset)
    _, new = pair(dataset, said, said)
    assert closed(new) == [f"{CLOSE_UP}/same_test"]
    # Each kind may be measured on a data set of its kind.
    phones = dataset_of_rows("phones", image_types=(CLOSE_UP,))
    for each in Classifier.objects.all():
        measured(each, phones, made_predictions(phones))
    assert closed(new) == []


def test_pictures_of_one_lesion_are_not_counted_as_many(dataset: Dataset) -> None:
    """With ten copies of each picture the interval stays as wide, since they are the same lesions."""
    few = {code: max(count // 4, 1) for code, count in COUNTS.items()}
    widths = []
    for copies in (1, 10):
        tested = dataset_of_rows(f"copies-{copies}", image_types=(DERMOSCOPIC,), counts=few, per_lesion=copies)
        two: list[Evaluation] = []
        for seed in (1, 2):
            said = made_predictions(tested, seed=seed)
            for image, each in said.items():
                each.update(said[f"{image.rpartition('-')[0]}-0"])
            two.append(measured(classifier(f"{copies}-{seed}"), tested, said))
        answers = [answers_of(each, DERMOSCOPIC) for each in two]
        interval = compare(*answers)[0].interval
        assert interval is not None
        widths.append(interval.high - interval.low)
    assert widths[1] > 0.6 * widths[0]


def test_a_small_test_does_not_show_that_one_is_as_good() -> None:
    """The point difference is within the margin, but the interval is not: as good must be shown."""
    counts = dict.fromkeys(COUNTS, 12)
    dataset = dataset_of_rows(image_types=(DERMOSCOPIC,), counts=counts)
    said = made_predictions(dataset, skill=4.0)
    candidate = changed(said)
    for each in of(candidate, "BCC", "SCC")[:1]:
        each["decision"] = Decision.MONITOR.value
    old, new = classifier("old", image_types=(DERMOSCOPIC,)), classifier("new", image_types=(DERMOSCOPIC,))
    promote_classifier(classifier=old, reason=DEFAULT_REASON)
    measured(old, dataset, said)
    measured(new, dataset, candidate)
    assert f"{DERMOSCOPIC}/sensitivity" in closed(new)


def test_a_real_network_is_compared_by_what_its_evaluation_keeps(tiny_classifier: Classifier) -> None:
    evaluation = evaluate_classifier(classifier=tiny_classifier, dataset=made_dataset())
    answers = answers_of(evaluation, DERMOSCOPIC)
    assert answers.labels.size == len(evaluation.predictions) == 32
    assert answers.probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    found = {each.criterion.name: each for each in compare(answers, answers)}
    few = found.pop("melanoma_sensitivity")
    assert (few.lesions, few.interval, few.passed) == (4, None, False)
    assert all(each.passed for each in found.values())  # it is as good as itself
    assert answers_of(evaluation, CLOSE_UP).labels.size == 0


def test_an_override_needs_a_written_reason_that_is_kept(admin: User, dataset: Dataset, said: Predictions) -> None:
    candidate = changed(said)
    refuses(candidate)
    _, new = pair(dataset, said, candidate)
    with pytest.raises(PromotionRejected, match="Write down"):
        promote(classifier=new, by=admin, override=True, reason="because")
    promote(classifier=new, by=admin, override=True, reason="the live one fails on our new camera")
    assert Classifier.objects.live() == new
    entry = AuditEntry.objects.filter(
        subject=f"classifier:{new.pk}", action=AuditEntry.Action.CLASSIFIER_PROMOTED
    ).latest("pk")
    assert entry.detail["reason"] == "the live one fails on our new camera"
    assert f"{DERMOSCOPIC}/not_assessed" in entry.detail["closed_gates"]


def test_without_a_common_test_there_is_no_comparison(admin: User, dataset: Dataset, said: Predictions) -> None:
    old, new = classifier("old"), classifier("new")
    promote_classifier(classifier=old, reason=DEFAULT_REASON)
    other = dataset_of_rows("two")
    measured(old, dataset, said)
    measured(new, other, made_predictions(other))
    assert closed(new) == [f"{DERMOSCOPIC}/same_test", f"{CLOSE_UP}/same_test"]
    with pytest.raises(PromotionRejected, match="same test images"):
        promote(classifier=new, by=admin)


def test_evaluations_without_decisions_do_not_count(dataset: Dataset, said: Predictions) -> None:
    old, new = classifier("old"), classifier("new")
    promote_classifier(classifier=old, reason=DEFAULT_REASON)
    measured(new, dataset, said)
    Evaluation.objects.create(
        classifier=old,
        dataset=dataset,
        fingerprint=dataset.test_content_fingerprint,
        metrics={},
        predictions={image: each["probabilities"] for image, each in said.items()},
        predictions_format=1,
    )
    assert closed(new) == [f"{DERMOSCOPIC}/same_test", f"{CLOSE_UP}/same_test"]
    assert "before decisions were kept" in gates(new)[2].said


def test_one_that_may_have_seen_the_test_is_refused(dataset: Dataset, said: Predictions) -> None:
    _, new = pair(dataset, said, said, sealed_before_training=False)
    assert closed(new) == ["unseen_test"]


def test_another_order_of_diagnoses_is_refused_whatever_the_reason(
    admin: User, dataset: Dataset, said: Predictions
) -> None:
    wrong = classifier("wrong", diagnoses=sorted(CODES))
    measured(wrong, dataset, said)
    with pytest.raises(PromotionRejected, match="every answer would be wrong"):
        promote(classifier=wrong, by=admin, override=True, reason="a reason of some length")
    assert Classifier.objects.live() is None


def test_asking_opens_the_test_figures_once_also_when_it_is_refused(
    admin: User, dataset: Dataset, said: Predictions
) -> None:
    candidate = changed(said)
    guesses(candidate)
    _, new = pair(dataset, said, candidate)
    assert not is_asked_for(new)
    assert not models.TestOpening.objects.exists()
    with pytest.raises(PromotionRejected):
        promote(classifier=new, by=admin)
    ask_for_promotion(classifier=new, by=admin)
    assert is_asked_for(new)
    opening = models.TestOpening.objects.get()
    assert (opening.evaluation.classifier, opening.opened_by) == (new, admin)


def test_roll_back_is_the_same_swap_and_can_be_undone(admin: User, dataset: Dataset, said: Predictions) -> None:
    old, new = pair(dataset, said, said)
    assert rolled_back_to() is None
    with pytest.raises(PromotionRejected, match="no way back"):
        roll_back(to=old, by=admin)
    promote(classifier=new, by=admin)
    assert rolled_back_to() == old
    assert roll_back(to=old, by=admin) == old
    assert Classifier.objects.live() == old
    entry = AuditEntry.objects.filter(subject=f"classifier:{old.pk}").latest("pk")
    assert entry.detail["reason"] == "roll back"
    assert roll_back(to=new, by=admin, reason="it was not its fault") == new
    admission = admission_of(new)
    assert admission is not None
    assert admission.closed == ()


def test_no_roll_back_to_one_that_never_passed_a_gate(admin: User, dataset: Dataset, said: Predictions) -> None:
    """A toy that was put live when roll back and promotion had no such gates is passed over."""
    old, new = pair(dataset, said, said)
    toy = classifier("toy")
    measured(toy, dataset, said)
    promote_classifier(classifier=toy, by=admin, reason="roll back")
    promote(classifier=new, by=admin)
    toy.refresh_from_db()
    assert toy.promoted is not None
    assert admission_of(toy) is None
    assert rolled_back_to() == old
    with pytest.raises(PromotionRejected, match="would lead to old"):
        roll_back(to=toy, by=admin)
    assert Classifier.objects.live() == new


def test_roll_back_to_one_whose_override_is_written(admin: User, dataset: Dataset, said: Predictions) -> None:
    candidate = changed(said)
    refuses(candidate)
    old, new = pair(dataset, said, candidate)
    promote(classifier=new, by=admin, override=True, reason="the live one fails on our new camera")
    promote(classifier=old, by=admin)
    assert rolled_back_to() == new
    admission = admission_of(new)
    assert admission is not None
    assert admission.reason == "the live one fails on our new camera"
    assert f"{DERMOSCOPIC}/not_assessed" in admission.closed


def test_a_roll_back_that_somebody_else_overtook_is_refused(admin: User, dataset: Dataset, said: Predictions) -> None:
    old, new = pair(dataset, said, said)
    promote(classifier=new, by=admin)
    roll_back(to=old, by=admin)  # another administrator
    with pytest.raises(PromotionRejected, match="Look again"):
        roll_back(to=old, by=admin)
    assert Classifier.objects.live() == old


def test_the_shell_asks_once_more(dataset: Dataset, said: Predictions, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = pair(dataset, said, said)
    call_command("promote", "new")
    assert f"passed  {CLOSE_UP}/specificity" in capsys.readouterr().out
    assert models.TestOpening.objects.count() == 1
    with pytest.raises(CommandError, match="--yes"):
        call_command("promote", roll_back=True)
    assert "after it: old, Tiny 32 px" in capsys.readouterr().out
    assert Classifier.objects.live() == new
    call_command("promote", roll_back=True, yes=True)
    assert Classifier.objects.live() == old


@pytest.mark.parametrize("role", [Role.PATIENT, Role.CLINICIAN])
def test_only_administrators(role: Role, dataset: Dataset, said: Predictions) -> None:
    old, new = pair(dataset, said, said)
    person = User.objects.create_user("somebody@example.org", "a long password", role=role)
    with pytest.raises(NotAllowed):
        promote(classifier=new, by=person)
    with pytest.raises(NotAllowed):
        ask_for_promotion(classifier=new, by=person)
    with pytest.raises(NotAllowed):
        roll_back(to=old, by=person)
    assert Classifier.objects.live() != new
    assert not models.TestOpening.objects.exists()
