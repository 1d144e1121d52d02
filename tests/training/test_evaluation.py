"""The figures of an evaluation: compared with the official package, on hand-made tables, as files."""

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from accounts.csv_rows import safe_cell
from diagnoses.classifiers.models import Classifier
from recognition.datasets.examples import fingerprint_of_test
from recognition.datasets.splits import Split
from recognition.evaluation import bootstrap
from recognition.evaluation.measure import metrics_of
from recognition.evaluation.metrics import auc, roc_curve
from recognition.inference.bundle import OperatingPoint
from recognition.taxonomy import CODES
from tests.training.run_factories import made_dataset
from training.admin.evaluations import contamination_said, figures_context
from training.evaluation.figures import figures_json, ground_truth_csv, predictions_csv
from training.evaluation.measure import TOO_FEW, hardest_mistakes, measure, reliability, subgroups
from training.management.commands.evaluate import Command as EvaluateCommand
from training.management.commands.evaluate import table as printed_table
from training.models import Dataset, Evaluation
from training.services.evaluations import evaluation_on, record_evaluation
from training.services.test_contamination import contamination_of

# The fields of a row whose picture is not in the data set.
NO_PICTURE: dict[str, Any] = {"archive": None, "member": "", "sha256": ""}

POINTS = (OperatingPoint("balanced", 0.4, 0.8, 0.8), OperatingPoint("sensitive", 0.1, 0.95, 0.4))


def made_answers(labels: np.ndarray[Any, Any], *, seed: int = 3, skill: float = 1.5) -> np.ndarray[Any, Any]:
    """Probabilities (N, 8) of a classifier that is right more often than not."""
    logits = np.random.default_rng(seed).normal(size=(labels.size, len(CODES)))
    logits[np.arange(labels.size), labels] += skill
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def classifier_named(version: str, **manifest: Any) -> Classifier:
    dataset = {"name": "made", "fingerprint": "f", "pictures": 1}
    described = {"diagnoses": list(CODES), "dataset": dataset, "split": {}, **manifest}
    return Classifier.objects.create(version=version, sha256=version.ljust(64, "0"), manifest=described)


def evaluate_made(classifier: Classifier, dataset: Dataset, *, seed: int = 3, skill: float = 1.5) -> Evaluation:
    """An evaluation of made-up probabilities on the rows of a made-up data set."""
    rows = list(dataset.examples.filter(split="test").order_by("image").values_list("image", "diagnosis"))
    labels = np.array([CODES.index(code) for _, code in rows])
    answers = made_answers(labels, seed=seed, skill=skill)
    metrics = measure(labels, answers, temperature=1.3, operating_points=POINTS) | {"sealed_before_training": True}
    return record_evaluation(
        classifier=classifier,
        dataset=dataset,
        metrics=metrics,
        predictions={image: [float(p) for p in row] for (image, _), row in zip(rows, answers, strict=True)},
    )


# The official package is older than the pandas it runs on.
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
@pytest.mark.django_db
def test_balanced_accuracy_is_what_the_official_package_computes_from_our_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    official = pytest.importorskip(
        "isic_challenge_scoring.metrics", reason="isic-challenge-scoring is not installed (make scoring)"
    )
    load_csv = pytest.importorskip("isic_challenge_scoring.load_csv")
    # pandas 3 has given this method another name since the package was written.
    monkeypatch.setattr(pd.DataFrame, "applymap", pd.DataFrame.map, raising=False)
    evaluation = evaluate_made(classifier_named("one"), made_dataset(per_diagnosis=30))
    truth, weights = load_csv.parse_truth_csv(io.StringIO(ground_truth_csv(evaluation)))
    answers = load_csv.parse_csv(io.StringIO(predictions_csv(evaluation)), truth.columns)
    load_csv.validate_rows(truth, answers)
    load_csv.sort_rows(truth)
    load_csv.sort_rows(answers)

    theirs = official.balanced_multiclass_accuracy(truth, answers, weights.score_weight)
    ours = evaluation.metrics["balanced_accuracy"]["value"]
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert 0.3 < ours < 1.0  # neither chance nor perfect
    for code in CODES:
        row = evaluation.metrics["per_diagnosis"][code]
        theirs = official.auc_above_sensitivity(truth[code].gt(0.5), answers[code], weights.score_weight, 0.80)
        assert row["auc_above_80_sensitivity"]["value"] == pytest.approx(theirs, abs=1e-6)
        theirs = official.auc(truth[code].gt(0.5), answers[code], weights.score_weight)
        assert row["auc"]["value"] == pytest.approx(theirs, abs=1e-6)


def test_figures_of_a_table_counted_by_hand() -> None:
    # Three melanomas, one missed; five nevi, one called melanoma; nothing else.
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    called = np.array([0, 0, 1, 1, 1, 1, 1, 0])
    answers = np.full((8, 8), 0.01)
    answers[np.arange(8), called] = 0.93
    figures = measure(labels, answers, temperature=1.0, operating_points=(OperatingPoint("half", 0.5, 1, 1),))
    assert figures["balanced_accuracy"]["value"] == pytest.approx((2 / 3 + 4 / 5) / 2, abs=1e-6)
    assert figures["accuracy"]["value"] == pytest.approx(6 / 8)
    assert figures["majority_baseline"] == pytest.approx(5 / 8)
    assert figures["majority_diagnosis"] == "NV"
    melanoma = figures["per_diagnosis"]["MEL"]
    assert melanoma["sensitivity"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert melanoma["specificity"]["value"] == pytest.approx(4 / 5)
    assert melanoma["precision"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert melanoma["sensitivity"]["low"] <= 2 / 3 <= melanoma["sensitivity"]["high"]
    assert figures["per_diagnosis"]["DF"]["sensitivity"]["value"] is None
    assert figures["operating_points"]["half"]["sensitivity"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert figures["confusion"][0][:2] == [2, 1]
    assert figures["roc"]["DF"] is None
    json.dumps(figures, allow_nan=False)


def test_the_partial_area_is_the_whole_one_without_a_floor_and_less_with_one() -> None:
    positive = np.array([True, True, False, True, False, False])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    curve = roc_curve(positive, scores)
    assert curve is not None
    assert curve[0].tolist() == pytest.approx([0, 0, 0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert curve[1].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3, 1, 1, 1])
    # From a sensitivity of 0.8 on, at a false-positive rate of 1/3, to 1: two thirds of height one.
    assert bootstrap.on_all(auc(positive, scores, floor=0.8), positive) == pytest.approx(2 / 3)
    ones = np.array([True, True])
    assert np.isnan(bootstrap.on_all(auc(ones, np.array([0.1, 0.2]), floor=0.8), ones))


def test_calibration_undone_gives_the_figures_before_it() -> None:
    labels = np.arange(400) % 8
    logits = np.random.default_rng(1).normal(size=(400, 8)) * 3
    logits[np.arange(400), labels] += 2

    def softmax(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    before = measure(labels, softmax(logits), temperature=1.0, operating_points=())
    after = measure(labels, softmax(logits / 2.5), temperature=2.5, operating_points=())
    for error in ("malignant_calibration_error", "classwise_calibration_error"):
        assert after[error]["before"]["value"] == pytest.approx(before[error]["after"]["value"], abs=1e-6)
        assert after[error]["after"]["value"] < after[error]["before"]["low"]


def test_the_bootstrap_by_matrix_product_equals_drawing_pictures() -> None:
    # Scores with ties, diagnoses of very different size: every figure of a round by matrix product equals the figure of
    # the pictures really drawn.
    labels = np.random.default_rng(5).choice(8, size=300, p=[0.2, 0.5, 0.1, 0.04, 0.08, 0.03, 0.03, 0.02])
    answers = made_answers(labels).round(2) + 1e-3
    answers /= answers.sum(axis=1, keepdims=True)
    plain = answers**0.7
    plain /= plain.sum(axis=1, keepdims=True)
    metrics = metrics_of(labels, answers, balanced=plain, uncalibrated=plain, operating_points=POINTS)
    (counts,) = bootstrap.redrawn(labels, None, rounds=3, seed=1)
    assert counts.sum(axis=1).tolist() == [300.0] * 3
    assert all(counts[:, labels == d].sum(axis=1).tolist() == [float((labels == d).sum())] * 3 for d in range(8))
    drawn = {name: metric(counts) for name, metric in metrics.items()}
    for row, often in enumerate(counts.astype(int)):
        rows = np.repeat(np.arange(300), often)
        again = metrics_of(
            labels[rows], answers[rows], balanced=plain[rows], uncalibrated=plain[rows], operating_points=POINTS
        )
        for name, metric in again.items():
            value = bootstrap.on_all(metric, labels)
            assert drawn[name][row] == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_a_diagnosis_nobody_has_gives_no_interval_and_no_error() -> None:
    labels = np.array([0, 1] * 20)
    figures = measure(labels, made_answers(labels), temperature=1.0, operating_points=POINTS)
    assert figures["per_diagnosis"]["SCC"]["auc"] == {"value": None, "low": None, "high": None}
    assert figures["per_diagnosis"]["SCC"]["specificity"]["low"] is not None
    json.dumps(figures, allow_nan=False)


def test_subgroups_are_compared_over_the_diagnoses_they_have() -> None:
    labels = np.array([0, 1, 4] * 40 + [5] * 5)
    answers = made_answers(labels)
    # Of the women there are no BKL and few DF; the men are only BKL.
    sex = ["male" if label == 4 else "female" for label in labels]
    table = pd.DataFrame({"sex": sex, "anatom_site_general": [None] * 125, "age_approx": [50.0] * 125})
    found = {(row["kind"], row["name"]): row for row in subgroups(table, labels, answers, operating_points=())}
    women = found["sex", "female"]
    right = answers.argmax(axis=1) == labels
    expected = np.mean([right[labels == 0].mean(), right[labels == 1].mean()])
    assert women["diagnoses"] == ["MEL", "NV"]
    assert women["balanced_accuracy"]["value"] == pytest.approx(expected, abs=1e-6)
    assert women["everybody"] == pytest.approx(expected, abs=1e-6)  # all MEL and NV are theirs
    assert women["balanced_accuracy"]["low"] < expected < women["balanced_accuracy"]["high"]
    assert found["sex", "male"]["balanced_accuracy"] is None  # one diagnosis is no mean
    assert found["site", "not given"]["diagnoses"] == ["MEL", "NV", "BKL"]


@pytest.mark.django_db
def test_an_old_evaluation_without_intervals_is_still_shown() -> None:
    classifier, dataset = classifier_named("one"), made_dataset()
    rows = list(dataset.examples.filter(split="test").order_by("image").values_list("image", "diagnosis"))
    labels = np.array([CODES.index(code) for _, code in rows])
    metrics = measure(labels, made_answers(labels), temperature=1.3, operating_points=POINTS)
    for row in metrics["per_diagnosis"].values():
        row["auc_above_80_sensitivity"] = row["auc_above_80_sensitivity"]["value"]
    error = {when: figure["value"] for when, figure in metrics.pop("malignant_calibration_error").items()}
    metrics["expected_calibration_error"] = error
    metrics["log_loss"] = {when: figure["value"] for when, figure in metrics["log_loss"].items()}
    old = record_evaluation(classifier=classifier, dataset=dataset, metrics=metrics, predictions={})
    assert f"{metrics['expected_calibration_error']['after']:.3f}" in printed_table(old)
    shown = figures_context(old)
    assert shown["rows"][0]["auc80"] == f"{metrics['per_diagnosis']['MEL']['auc_above_80_sensitivity']:.3f}"


def test_subgroups_that_are_too_small_say_nothing() -> None:
    count = 200
    labels = np.arange(count) % 8
    answers = made_answers(labels)
    few = TOO_FEW - 1
    table = pd.DataFrame(
        {
            "sex": ["female"] * few + ["male"] * (count - few),
            "anatom_site_general": [None] * count,
            "age_approx": [50.0] * (count - 1) + [float("nan")],
        }
    )
    groups = {(row["kind"], row["name"]): row for row in subgroups(table, labels, answers, operating_points=POINTS[:1])}
    small = groups["sex", "female"]
    assert small["pictures"] == few
    assert small["operating_points"]["balanced"] == {"sensitivity": None, "specificity": None}
    large = groups["sex", "male"]["operating_points"]["balanced"]
    assert large["sensitivity"]["low"] < large["sensitivity"]["value"] < large["sensitivity"]["high"]
    assert groups["site", "not given"]["pictures"] == count
    assert groups["age", "45 to 59"]["pictures"] == count - 1
    assert groups["age", "not given"]["pictures"] == 1
    for kind in ("sex", "age", "site"):
        assert sum(row["pictures"] for key, row in groups.items() if key[0] == kind) == count


def test_the_hardest_mistakes_come_first_and_right_answers_never() -> None:
    labels = np.array([0, 1, 2, 0])
    answers = np.full((4, 8), 0.0)
    answers[0, [0, 1]] = 0.4, 0.6
    answers[1, 1] = 1.0
    answers[2, [2, 3]] = 0.1, 0.9
    answers[3, [0, 1]] = 0.3, 0.7
    found = hardest_mistakes(["a", "b", "c", "d"], labels, answers)
    assert [each["image"] for each in found] == ["c", "d", "a"]
    assert found[0] == {
        "image": "c", "truth": "BCC", "called": "AK", "confidence": 0.9, "truth_probability": 0.1,
    }  # fmt: skip


def test_reliability_bins_hold_every_picture_once() -> None:
    labels = np.arange(80) % 8
    bins = reliability(labels, made_answers(labels))
    assert sum(each["pictures"] for each in bins) == 80
    assert all(each["from"] <= each["confidence"] <= each["from"] + 0.1 for each in bins)


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t"])
def test_a_name_that_begins_like_a_formula_is_text(sign: str) -> None:
    assert safe_cell(f"{sign}1+1") == f"'{sign}1+1"
    assert safe_cell("ISIC_0000001") == "ISIC_0000001"


@pytest.mark.django_db
def test_an_evaluation_is_kept_once_and_never_changed() -> None:
    dataset, classifier = made_dataset(), classifier_named("one")
    first = evaluate_made(classifier, dataset)
    again = evaluate_made(classifier, dataset, seed=9)
    assert again.pk == first.pk
    assert again.metrics == first.metrics
    assert evaluation_on(classifier, dataset) == first
    assert json.loads(figures_json(first))["fingerprint"] == dataset.test_content_fingerprint


@pytest.mark.django_db
def test_the_printed_table_says_what_was_measured() -> None:
    evaluation = evaluate_made(classifier_named("one"), made_dataset())
    text = printed_table(evaluation)
    assert f"{evaluation.metrics['balanced_accuracy']['value']:.3f}" in text
    assert all(code in text for code in CODES)
    assert "sensitive" in text
    assert max(map(len, text.splitlines())) <= 100
    assert text.count(f"{evaluation.metrics['per_diagnosis']['DF']['auc_above_80_sensitivity']['high']:.3f}") >= 1


def relabelled(dataset: Dataset, **changes: Any) -> Dataset:
    """A data set with the same image names, but other labels or pixels in its test split."""
    examples = list(dataset.examples.all())
    Dataset.objects.filter(pk=dataset.pk).update(name=f"{dataset.name} before")
    other = made_dataset(dataset.name, seed=9)
    assert other.test_fingerprint == dataset.test_fingerprint
    assert {each.image for each in examples} == set(other.examples.values_list("image", flat=True))
    return other


@pytest.mark.django_db
def test_the_same_names_with_other_pixels_are_other_test_images() -> None:
    dataset = made_dataset()
    other = relabelled(dataset)
    assert other.test_content_fingerprint != dataset.test_content_fingerprint
    classifier = classifier_named("one")
    first = evaluate_made(classifier, dataset)
    assert evaluation_on(classifier, other) is None
    assert evaluate_made(classifier, other).pk != first.pk


@pytest.mark.django_db
def test_one_corrected_label_makes_another_test_split() -> None:
    dataset = made_dataset()
    rows = list(dataset.examples.filter(split="test").order_by("image").values_list("image", "diagnosis", "sha256"))
    table = pd.DataFrame(rows, columns=["image", "diagnosis", "sha256"])
    split = Split(pd.Series("test", index=table["image"]), 0, {}, "")
    assert fingerprint_of_test(table, split) == dataset.test_content_fingerprint
    corrected = table.assign(diagnosis=["NV", *table["diagnosis"][1:]])
    assert fingerprint_of_test(corrected, split) != dataset.test_content_fingerprint


@pytest.mark.django_db
def test_equal_fingerprints_prove_that_there_is_no_test_contamination() -> None:
    dataset = made_dataset()

    def kept(**split: str) -> bool:
        return contamination_of({"version": "v", "split": split}, dataset).kept

    assert kept(test_content_fingerprint=dataset.test_content_fingerprint)
    # An older bundle has only the fingerprint of names, so names are compared.
    assert kept(test_fingerprint=dataset.test_fingerprint)
    assert not kept(test_fingerprint=dataset.test_fingerprint, test_content_fingerprint="0" * 64)
    assert kept(fingerprint=dataset.split_fingerprint)
    nobody_knows = contamination_of({"version": "v", "split": {"fingerprint": "0" * 64}}, dataset)
    assert (nobody_knows.kept, nobody_knows.seen, nobody_knows.by) == (False, None, "v")


@pytest.mark.django_db
def test_contaminated_test_images_are_counted_if_the_training_data_are_registered() -> None:
    theirs, ours = made_dataset("a"), made_dataset("b", seed=500)
    manifest = {
        "version": "v",
        "dataset": {"fingerprint": theirs.fingerprint},
        "split": {"fingerprint": theirs.split_fingerprint, "test_content_fingerprint": theirs.test_content_fingerprint},
    }
    none = contamination_of(manifest, ours)
    assert (none.kept, none.seen, none.pictures) == (True, 0, 32)
    # The classifier learned from a copy of the first picture and from the lesion of the second; the third was in its
    # test split.
    learned, tested = theirs.examples.filter(split="train"), theirs.examples.filter(split="test")
    one, two, three = ours.examples.filter(split="test")[:3]
    ours.examples.filter(pk=one.pk).update(sha256=learned[0].sha256)
    ours.examples.filter(pk=two.pk).update(lesion_id=learned[1].lesion_id)
    ours.examples.filter(pk=three.pk).update(sha256=tested[0].sha256)
    some = contamination_of(manifest, ours)
    assert (some.kept, some.seen, some.by) == (False, 2, "v")
    assert "v learned from 2 of these 32 test images" in contamination_said(some.as_json())


@pytest.mark.django_db
def test_another_picture_of_a_learned_patient_is_test_contamination() -> None:
    theirs, ours = made_dataset("a"), made_dataset("b", seed=500)
    manifest = {"dataset": {"fingerprint": theirs.fingerprint}, "split": {"fingerprint": theirs.split_fingerprint}}
    learned, tested = theirs.examples.filter(split="train")[0], theirs.examples.filter(split="test")[0]
    theirs.examples.filter(pk=learned.pk).update(patient_id="P1")
    theirs.examples.filter(pk=tested.pk).update(patient_id="P2")
    one, two = ours.examples.filter(split="test")[:2]
    ours.examples.filter(pk=one.pk).update(patient_id="P1")
    ours.examples.filter(pk=two.pk).update(patient_id="P2")
    assert contamination_of(manifest, ours).seen == 1


@pytest.mark.parametrize("unlearned", [{"split": ""}, {"diagnosis": ""}, NO_PICTURE])
@pytest.mark.django_db
def test_rows_that_were_never_learned_contaminate_nothing(unlearned: dict[str, Any]) -> None:
    theirs, ours = made_dataset("a"), made_dataset("b", seed=500)
    manifest = {"dataset": {"fingerprint": theirs.fingerprint}, "split": {"fingerprint": theirs.split_fingerprint}}
    row, test_image = theirs.examples.filter(split="train")[0], ours.examples.filter(split="test")[0]
    ours.examples.filter(pk=test_image.pk).update(lesion_id=row.lesion_id)
    assert contamination_of(manifest, ours).seen == 1
    theirs.examples.filter(pk=row.pk).update(**unlearned)
    assert contamination_of(manifest, ours).seen == 0


@pytest.mark.django_db
def test_only_measured_rows_count_as_test_images() -> None:
    theirs, ours = made_dataset("a"), made_dataset("b", seed=500)
    manifest = {"dataset": {"fingerprint": theirs.fingerprint}, "split": {"fingerprint": theirs.split_fingerprint}}
    one, two = ours.examples.filter(split="test")[:2]
    learned = theirs.examples.filter(split="train")[0]
    ours.examples.filter(pk=one.pk).update(lesion_id=learned.lesion_id, **NO_PICTURE)
    ours.examples.filter(pk=two.pk).update(lesion_id=learned.lesion_id, diagnosis="")
    found = contamination_of(manifest, ours)
    assert (found.kept, found.seen, found.pictures) == (True, 0, 30)


@pytest.mark.django_db
def test_the_ground_truth_has_the_rows_that_were_measured() -> None:
    dataset = made_dataset()
    evaluation = evaluate_made(classifier_named("one"), dataset)
    one, two = dataset.examples.filter(split="test")[:2]
    dataset.examples.filter(pk=one.pk).update(**NO_PICTURE)
    dataset.examples.filter(pk=two.pk).update(diagnosis="")
    images = [line.split(",")[0] for line in ground_truth_csv(evaluation).splitlines()[1:]]
    assert images == sorted(evaluation.predictions.keys() - {one.image, two.image})
    # Tables without images: every row with a diagnosis.
    dataset.has_images = False
    assert dataset.measurable().filter(split="test").count() == 31


@pytest.mark.django_db
def test_a_child_inherits_the_test_contamination_of_its_parents() -> None:
    dataset = made_dataset()
    ours = {"test_content_fingerprint": dataset.test_content_fingerprint}

    def kept(parent: dict[str, str] | None) -> bool:
        return contamination_of({"version": "v", "split": ours, "provenance": {"parent": parent}}, dataset).kept

    def named(row: Classifier) -> dict[str, str]:
        return {"version": row.version, "sha256": row.sha256}

    good, other = classifier_named("good", split=ours), classifier_named("other", split={"fingerprint": "0" * 64})
    child = classifier_named("child", split=ours, provenance={"parent": named(other)})
    assert kept(None)
    assert kept(named(good))
    assert not kept(named(other))
    assert not kept(named(child))  # its grandparent's split was another
    assert not kept({"version": "elsewhere", "sha256": "e" * 64})


@pytest.mark.django_db
def test_evaluate_defaults_to_the_data_set_with_the_split_it_was_trained_on() -> None:
    first = made_dataset()
    again = made_dataset("again", seed=1)
    # The same files dealt by another seed, imported later.
    Dataset.objects.filter(pk=again.pk).update(fingerprint=first.fingerprint, split_fingerprint="5" * 64)
    trained = classifier_named(
        "trained", dataset={"fingerprint": first.fingerprint}, split={"fingerprint": first.split_fingerprint}
    )
    assert EvaluateCommand()._dataset(trained, None) == first
