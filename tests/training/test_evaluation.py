"""The figures of an evaluation: kinds of picture apart, on hand-made tables, as pages and files, open and closed."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.test import Client
from django.urls import reverse

from accounts.csv_rows import safe_cell
from accounts.models import Role, User
from diagnoses.classifiers.models import Classifier
from recognition.datasets.examples import fingerprint_of_test
from recognition.datasets.splits import Split
from recognition.evaluation.kind_answers import KindAnswers
from recognition.inference.bundle import OperatingPoint
from recognition.inference.case_mix import HAM10000
from recognition.inference.learned import Learned
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, MALIGNANT_POSITIONS
from tests.training.run_factories import made_dataset
from training.admin.evaluations import contamination_said
from training.data.reading import example_table
from training.evaluation.figures import balanced_csv, figures_json, ground_truth_csv, predictions_csv
from training.evaluation.measure import hardest_mistakes, measure, reliability
from training.management.commands.evaluate import Command as EvaluateCommand
from training.management.commands.evaluate import table as printed_table
from training.models import Dataset, Evaluation
from training.services.ancestry import picture_ids
from training.services.evaluations import evaluation_on, record_evaluation
from training.services.openings import open_figures
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


def decisions_of(probabilities: np.ndarray[Any, Any]) -> list[str]:
    """The advice by the malignant score."""
    scores = probabilities[:, list(MALIGNANT_POSITIONS)].sum(axis=1)
    return ["urgent" if score >= 0.7 else "soon" if score >= 0.3 else "monitor" for score in scores]


def made_kind(
    images: Sequence[str],
    labels: np.ndarray[Any, Any],
    probabilities: np.ndarray[Any, Any],
    *,
    alone: np.ndarray[Any, Any] | None = None,
    used: Sequence[tuple[str, ...]] | None = None,
    decisions: Sequence[str] | None = None,
) -> KindAnswers:
    """Answers that are the same with and without metadata, at every case mix, unless they are given."""
    alone = probabilities if alone is None else alone
    return KindAnswers(
        images=images,
        labels=labels,
        lesions=list(images),
        probabilities=probabilities,
        balanced=probabilities,
        picture_alone=alone,
        balanced_alone=alone,
        uncalibrated=probabilities,
        weights=HAM10000.weights(labels),
        decisions=decisions or decisions_of(probabilities),
        picture_decisions=decisions_of(alone),
        used=used or [()] * len(images),
    )


def made_table(count: int, **columns: Any) -> pd.DataFrame:
    """The metadata of `count` pictures, of which nothing is known unless it is given."""
    nothing = {"sex": [None] * count, "anatom_site_general": [None] * count, "age_approx": [float("nan")] * count}
    return pd.DataFrame({**nothing, "lesion_id": [None] * count, "details": [{}] * count, **columns})


def measured(labels: np.ndarray[Any, Any], probabilities: np.ndarray[Any, Any], **given: Any) -> dict[str, Any]:
    """The figures of pictures of which nothing else is known."""
    images = [f"I{number}" for number in range(labels.size)]
    answers = made_kind(images, labels, probabilities, **given)
    return measure(answers, made_table(labels.size), operating_points=POINTS)


def classifier_named(version: str, **manifest: Any) -> Classifier:
    dataset = {"name": "made", "fingerprint": "f", "pictures": 1}
    described = {"diagnoses": list(CODES), "dataset": dataset, "split": {}, **manifest}
    return Classifier.objects.create(version=version, sha256=version.ljust(64, "0"), manifest=described)


def evaluate_made(classifier: Classifier, dataset: Dataset, *, seed: int = 3, skill: float = 1.5) -> Evaluation:
    """An evaluation of made-up probabilities on the rows of a made-up data set, each kind of picture apart."""
    blocks, predictions = {}, {}
    table = example_table(dataset)
    table = table[table["split"] == "test"].reset_index(drop=True)
    for image_type, rows in table.groupby(table["image_type"].replace("", DERMOSCOPIC)):
        labels = np.array([CODES.index(code) for code in rows["diagnosis"]])
        answers = made_kind(rows["image"].tolist(), labels, made_answers(labels, seed=seed, skill=skill))
        blocks[str(image_type)] = measure(answers, rows.reset_index(drop=True), operating_points=POINTS)
        for row, image in enumerate(answers.images):
            said = [float(p) for p in answers.probabilities[row]]
            predictions[image] = {
                "probabilities": said, "balanced": said, "decision": answers.decisions[row], "score": None,
                "malignant_score": sum(said[at] for at in MALIGNANT_POSITIONS), "image_type": str(image_type),
            }  # fmt: skip
    metrics = {
        "pictures": len(table), "case_mix": HAM10000.as_json(), "image_types": blocks, "charts": {},
        "sealed_before_training": True,
    }  # fmt: skip
    return record_evaluation(classifier=classifier, dataset=dataset, metrics=metrics, predictions=predictions)


def two_kinds(name: str = "two") -> Dataset:
    """A data set whose test split has dermoscopic pictures and close-ups, which state skin tone."""
    dataset = made_dataset(name, per_diagnosis=60)
    close_ups = [row.pk for number, row in enumerate(dataset.examples.order_by("image")) if number % 20 >= 10]
    dataset.examples.update(image_type=DERMOSCOPIC)
    dataset.examples.filter(pk__in=close_ups).update(image_type=CLOSE_UP, details={"skin_tone_class": 4})
    return dataset


@pytest.fixture
def page(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_user("admin@example.org", "a long password", role=Role.ADMINISTRATOR))
    return client


def address(evaluation: Evaluation, name: str = "change", *arguments: str) -> str:
    return reverse(f"admin:training_evaluation_{name}", args=[evaluation.pk, *arguments])


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
    evaluation = evaluate_made(classifier_named("one"), two_kinds())
    for image_type, block in evaluation.metrics["image_types"].items():
        truth, weights = load_csv.parse_truth_csv(io.StringIO(ground_truth_csv(evaluation, image_type)))
        answers = load_csv.parse_csv(io.StringIO(balanced_csv(evaluation, image_type)), truth.columns)
        load_csv.validate_rows(truth, answers)
        load_csv.sort_rows(truth)
        load_csv.sort_rows(answers)

        theirs = official.balanced_multiclass_accuracy(truth, answers, weights.score_weight)
        ours = block["balanced_accuracy"]["value"]
        assert ours == pytest.approx(theirs, abs=1e-6)
        assert 0.3 < ours < 1.0  # neither chance nor perfect
        for code in CODES:
            row = block["per_diagnosis"][code]
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
    figures = measured(labels, answers)
    assert figures["balanced_accuracy"]["value"] == pytest.approx((2 / 3 + 4 / 5) / 2, abs=1e-6)
    assert figures["accuracy"]["value"] == pytest.approx(6 / 8)
    assert (figures["majority_diagnosis"], figures["majority_baseline"]) == ("NV", pytest.approx(5 / 8))
    assert figures["balanced"]["confusion"][0][:2] == [2, 1]
    assert figures["advice"]["soon"]["melanoma_sensitivity"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert figures["roc"]["DF"] is None
    assert figures["metadata"] == {}
    json.dumps(figures, allow_nan=False)


def test_what_metadata_adds_is_measured_on_the_pictures_of_which_it_is_known() -> None:
    labels = np.arange(200) % 8
    alone, told = made_answers(labels, skill=0.0), made_answers(labels, skill=4.0)
    known = np.arange(200) < 100
    used = [("itch", "sex") if each else () for each in known]
    figures = measured(labels, np.where(known[:, None], told, alone), alone=alone, used=used)["metadata"]
    assert figures["answers"]["with"]["pictures"] == figures["answers"]["without"]["pictures"] == 100
    assert figures["answers"]["with"]["malignant_auc"]["value"] > 0.9
    assert figures["answers"]["without"]["malignant_auc"]["value"] < 0.7
    assert figures["demographics"] == figures["answers"]
    assert measured(labels, told, alone=alone)["metadata"] == {}


def test_reliability_is_weighted_to_the_case_mix() -> None:
    # Of four pictures scored 0.82, one cancer and three harmless; the cancer weighs three times as much.
    malignant = np.array([True, False, False, False, True])
    scores = np.array([0.82, 0.82, 0.82, 0.82, 1.0])
    first, last = reliability(malignant, scores, np.array([3.0, 1.0, 1.0, 1.0, 2.0]))
    assert (first["from"], first["pictures"], first["said"]) == (0.8, 4, pytest.approx(0.82))
    assert first["malignant"] == pytest.approx(3 / 6)
    assert first["weight"] == pytest.approx(6 / 8)
    assert (last["from"], last["malignant"]) == (0.9, 1.0)


def test_a_diagnosis_nobody_has_gives_no_interval_and_no_error() -> None:
    labels = np.array([0, 1] * 20)
    figures = measured(labels, made_answers(labels))
    assert figures["per_diagnosis"]["SCC"]["auc"] == {"value": None, "low": None, "high": None}
    assert figures["per_diagnosis"]["SCC"]["specificity"]["low"] is not None
    json.dumps(figures, allow_nan=False)


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


@pytest.mark.django_db
def test_kinds_of_picture_are_never_mixed(page: Client) -> None:
    dataset = two_kinds()
    evaluation = evaluate_made(classifier_named("one"), dataset)
    open_figures(evaluation=evaluation, by=None)
    blocks = evaluation.metrics["image_types"]
    assert {name: block["pictures"] for name, block in blocks.items()} == {DERMOSCOPIC: 48, CLOSE_UP: 48}
    for image_type in blocks:
        of_kind = set(dataset.examples.filter(split="test", image_type=image_type).values_list("image", flat=True))
        for export in (predictions_csv, balanced_csv, ground_truth_csv):
            lines = export(evaluation, image_type).splitlines()[1:]
            assert {line.split(",")[0] for line in lines} == of_kind
    text = page.get(address(evaluation)).content.decode()
    dermoscopic, close_up = text.split("Pictures taken with a phone or a camera")
    assert "Pictures taken through a dermatoscope" in dermoscopic
    assert "Skin tone (0 darkest, 5 lightest)" in close_up and "Skin tone (" not in dermoscopic
    assert "too few to say" in close_up
    listed = page.get(reverse("admin:training_evaluation_changelist")).content.decode()
    assert "through a dermatoscope: balanced accuracy" in listed
    assert "with a phone or a camera: balanced accuracy" in listed


@pytest.mark.django_db
def test_a_kind_that_the_classifier_refuses_is_said(page: Client) -> None:
    evaluation = evaluate_made(classifier_named("one"), two_kinds())
    refused = {**evaluation.metrics, "image_types": {**evaluation.metrics["image_types"]}}
    refused["image_types"][CLOSE_UP] = {"pictures": 48, "refused": True}
    other = record_evaluation(
        classifier=classifier_named("two"), dataset=evaluation.dataset, metrics=refused, predictions={}
    )
    open_figures(evaluation=other, by=None)
    text = page.get(address(other)).content.decode()
    assert "does not know pictures taken with a phone or a camera: it refuses all 48 of them" in text
    assert "Pictures taken with a phone or a camera" not in text
    assert "48 images, all refused" in printed_table(other)


@pytest.mark.django_db
def test_closed_figures_are_nowhere(page: Client) -> None:
    dataset = made_dataset()
    evaluation = evaluate_made(classifier_named("one"), dataset)
    image = next(iter(evaluation.predictions))
    score = f"{evaluation.metrics['image_types'][DERMOSCOPIC]['balanced_accuracy']['value']:.3f}"
    addresses = [
        address(evaluation, "download", "figures.json"),
        address(evaluation, "download", "dermoscopic-predictions.csv"),
        address(evaluation, "download", "dermoscopic-predictions-balanced.csv"),
        address(evaluation, "download", "dermoscopic-ground-truth.csv"),
        address(evaluation, "image", image),
    ]
    listing = reverse("admin:training_evaluation_changelist")
    text = page.get(address(evaluation)).content.decode()
    assert "The test figures are closed" in text
    assert score not in text and score not in page.get(listing).content.decode()
    assert score not in printed_table(evaluation)
    assert [page.get(each).status_code for each in addresses] == [404] * len(addresses)
    open_figures(evaluation=evaluation, by=None)
    assert score in page.get(address(evaluation)).content.decode()
    assert score in page.get(listing).content.decode()
    assert score in printed_table(evaluation)
    assert [page.get(each).status_code for each in addresses] == [200] * len(addresses)
    assert page.get(address(evaluation, "download", "close-up-nonsense.csv")).status_code == 404


@pytest.mark.django_db
def test_an_evaluation_page_with_its_downloads_and_pictures(page: Client) -> None:
    dataset = made_dataset()
    evaluation = evaluate_made(classifier_named("one"), dataset)
    open_figures(evaluation=evaluation, by=None)
    assert " style=" not in page.get(address(evaluation)).content.decode()
    for name, kind in (("dermoscopic-predictions.csv", "text/csv"), ("figures.json", "application/json")):
        response = page.get(address(evaluation, "download", name))
        assert response.headers["Content-Type"].startswith(kind)
        assert "attachment" in response.headers["Content-Disposition"]
    image = dataset.examples.filter(split="test").first()
    assert image is not None
    response = page.get(address(evaluation, "image", image.image))
    assert response.headers["Content-Type"] == "image/jpeg"
    assert response.headers["Cache-Control"].startswith("private, no-store")
    assert response.headers["Content-Security-Policy"].startswith("sandbox")
    learned = dataset.examples.filter(split="train").first()
    assert learned is not None  # not part of the evaluation, so not shown by it
    for other in (learned.image, "no-such", ".."):
        response = page.get(f"/admin/training/evaluation/{evaluation.pk}/images/{other}/")
        assert response.status_code in {301, 302, 404}


@pytest.mark.django_db
def test_an_evaluation_from_before_there_were_kinds_is_to_be_measured_again(page: Client) -> None:
    old = Evaluation.objects.create(
        classifier=classifier_named("one"), dataset=made_dataset(), fingerprint="f", predictions_format=1,
        metrics={"pictures": 32, "balanced_accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}},
        predictions={"a": [0.125] * 8},
    )  # fmt: skip
    open_figures(evaluation=old, by=None)
    assert "Measure it again" in page.get(address(old)).content.decode()
    assert page.get(address(old, "download", "dermoscopic-predictions.csv")).status_code == 404
    assert page.get(address(old, "download", "figures.json")).status_code == 200


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
    open_figures(evaluation=evaluation, by=None)
    text = printed_table(evaluation)
    block = evaluation.metrics["image_types"][DERMOSCOPIC]
    assert f"{block['balanced_accuracy']['value']:.3f}" in text
    assert all(code in text for code in CODES)
    assert "sensitive" in text
    assert max(map(len, text.splitlines())) <= 100
    assert text.count(f"{block['per_diagnosis']['DF']['auc_above_80_sensitivity']['high']:.3f}") >= 1


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
def test_what_a_classifier_was_calibrated_on_is_contamination_for_itself_alone() -> None:
    ours = made_dataset("b", seed=500)
    tested = picture_ids(ours, ["test"])
    learned = replace(Learned.of(()), fitted=Learned.of(tested[:3]).weights)
    some = contamination_of({"version": "v"}, ours, learned)
    assert (some.kept, some.seen, some.by) == (False, 3, "v")
    assert contamination_of({"version": "v"}, ours, Learned.of(()) | learned).kept


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
    images = [line.split(",")[0] for line in ground_truth_csv(evaluation, DERMOSCOPIC).splitlines()[1:]]
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
