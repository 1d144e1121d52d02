"""What classifiers and their ancestors have learned: test contamination by files, and parents that runs refuse."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from safetensors.numpy import save

from accounts.models import Role, User
from diagnoses.classifiers.models import Classifier
from recognition.inference.bundle import LEARNED_NAME
from recognition.inference.learned import Learned
from recognition.recipes import LINEAR_PROBE, SMOKE, RecipeError, changed
from tests.training.run_factories import made_dataset
from tests.training.test_evaluation import classifier_named
from training.models import Dataset, Example, Job, TrainingRun
from training.services.ancestry import learned_of, picture_ids, stored_learned
from training.services.jobs import JobRejected
from training.services.runs import absent_diagnoses, begin_run, request_run, warnings_of
from training.services.test_contamination import contamination_of
from training.worker.training import train_claimed

pytestmark = pytest.mark.django_db

TINY: dict[str, Any] = {"architecture": {"backbone": "tiny", "head_units": [16]}}
LEARNING_ALL = changed(SMOKE, {"fine_tune.learn_validation": "true"})


def learned_from(dataset: Dataset, *splits: str) -> Learned:
    return Learned.of(picture_ids(dataset, splits))


def that_learned(version: str, learned: Learned, **manifest: Any) -> Classifier:
    """A registered classifier whose bundle says what it learned."""
    content = save(learned.as_tensors())
    files = {LEARNED_NAME: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}}
    classifier = classifier_named(version, files=files, **TINY, **manifest)
    default_storage.delete(f"{classifier.folder}/{LEARNED_NAME}")  # of another test
    default_storage.save(f"{classifier.folder}/{LEARNED_NAME}", ContentFile(content))
    return classifier


def named(classifier: Classifier, relation: str = "parent", **known: str) -> dict[str, str]:
    unknown = {"dataset": "", "dataset_fingerprint": "", "split_fingerprint": ""}
    return {"version": classifier.version, "sha256": classifier.sha256, "relation": relation, **unknown, **known}


def data_of(dataset: Dataset) -> dict[str, Any]:
    return {
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "split": {"fingerprint": dataset.split_fingerprint},
    }


# --- Test contamination -----------------------------------------------------------------------------------------


def test_a_classifier_is_not_accused_of_data_on_which_it_was_only_sealed_again() -> None:
    sealed_on, ours = made_dataset("a"), made_dataset("b", seed=500)
    row, tested = sealed_on.examples.filter(split="train")[0], ours.examples.filter(split="test")[0]
    ours.examples.filter(pk=tested.pk).update(lesion_id=row.lesion_id)
    manifest = {"version": "v", **data_of(sealed_on)}
    assert contamination_of(manifest, ours).seen == 1
    others = sealed_on.examples.filter(split="train").exclude(pk=row.pk)
    learned = Learned.of([each for each in picture_ids(sealed_on, ["train"]) if each.image in images(others)])
    assert contamination_of(manifest, ours, learned).kept
    # Of what it did learn it is accused, whatever fingerprints say and although nothing is registered.
    accused = contamination_of({"version": "w", "split": {"test_content_fingerprint": ours.test_content_fingerprint}},
                               ours, learned_from(ours, "test") | learned)  # fmt: skip
    assert (accused.kept, accused.seen, accused.by) == (False, accused.pictures, "w")


def images(rows: Iterable[Example]) -> set[str]:
    return {row.image for row in rows}


def test_a_child_needs_no_record_of_its_parents_where_its_file_says_everything() -> None:
    ours, elsewhere = made_dataset("a"), {"version": "gone", "sha256": "e" * 64}
    older = {"version": "v", **data_of(ours), "provenance": {"parent": elsewhere}}
    assert contamination_of(older, ours).by == "gone"
    entry = {**elsewhere, "relation": "parent", "dataset": "", "dataset_fingerprint": "", "split_fingerprint": ""}
    newer = {**older, "ancestry": [entry]}
    whole = learned_from(ours, "train")
    assert contamination_of(newer, ours, whole).kept
    lacking = contamination_of(newer, ours, whole | Learned.unknown())
    assert (lacking.kept, lacking.seen, lacking.by) == (False, None, "gone")
    # What the entry says of the ancestor's data is enough, if they are registered here.
    theirs = made_dataset("b", seed=500)
    entry |= {"dataset_fingerprint": theirs.fingerprint, "split_fingerprint": theirs.split_fingerprint}
    assert contamination_of({**newer, "ancestry": [entry]}, ours, whole | Learned.unknown()).kept


@pytest.mark.parametrize("relation", ["parent", "teacher"])
def test_what_a_parent_or_teacher_learned_counts(relation: str) -> None:
    ours = made_dataset("a")
    knowing = that_learned("knowing", learned_from(ours, "test"))
    manifest = {"version": "v", **data_of(ours), "ancestry": [named(knowing, relation)]}
    found = contamination_of(manifest, ours, Learned.unknown())
    assert (found.kept, found.seen, found.by) == (False, found.pictures, "knowing")


def test_a_file_that_is_not_the_sealed_one_says_nothing() -> None:
    ours = made_dataset("a")
    classifier = that_learned("v", learned_from(ours, "train"))
    assert stored_learned(classifier) is not None
    default_storage.delete(f"{classifier.folder}/{LEARNED_NAME}")
    assert stored_learned(classifier) is None
    default_storage.save(f"{classifier.folder}/{LEARNED_NAME}", ContentFile(save(Learned.of([]).as_tensors())))
    assert stored_learned(classifier) is None


def test_a_real_bundle_says_what_it_learned(tiny_classifier: Classifier) -> None:
    learned = stored_learned(tiny_classifier)
    assert learned is not None
    assert learned.complete
    assert learned.weights.size > 0
    assert learned_of(tiny_classifier).complete


def test_what_older_classifiers_learned_is_known_where_all_their_data_are_registered() -> None:
    first, second = made_dataset("a"), made_dataset("b", seed=500)
    learns_all = {"recipe": {"fine_tune": {"learn_validation": True}}}
    grandparent = classifier_named("grandparent", **data_of(first), **learns_all)
    parent = classifier_named("parent", **data_of(second), provenance={"parent": named(grandparent)})
    learned = learned_of(parent)
    assert learned.complete
    counted = {
        (dataset.name, split, chosen): len(learned.overlap(picture_ids(dataset, [split]), chosen=chosen))
        for dataset in (first, second) for split in ("train", "validation", "test") for chosen in (False, True)
    }  # fmt: skip
    assert counted == {
        ("a", "train", False): 80, ("a", "train", True): 80,
        ("a", "validation", False): 16, ("a", "validation", True): 16,
        ("a", "test", False): 0, ("a", "test", True): 0,
        ("b", "train", False): 80, ("b", "train", True): 80,
        ("b", "validation", False): 0, ("b", "validation", True): 16,
        ("b", "test", False): 0, ("b", "test", True): 0,
    }  # fmt: skip
    Dataset.objects.filter(pk=first.pk).update(split_fingerprint="0" * 64)
    assert not learned_of(parent).complete


# --- Runs -------------------------------------------------------------------------------------------------------


def test_a_run_from_a_parent_that_learned_the_validation_images_learns_them_too() -> None:
    dataset = made_dataset()
    parent = that_learned("parent", learned_from(dataset, "train", "validation"))
    with pytest.raises(JobRejected, match=r"parent, or .* 16 of the 16 validation images") as refused:
        request_run(dataset=dataset, recipe=SMOKE, parent=parent)
    assert refused.value.field == "parent"
    assert "learn validation" in refused.value.message
    assert request_run(dataset=dataset, recipe=LEARNING_ALL, parent=parent).parent == parent
    tuned_head = changed(LINEAR_PROBE, {"architecture.backbone": "tiny"})
    with pytest.raises(JobRejected, match="a recipe that fine-tunes"):
        request_run(dataset=dataset, recipe=tuned_head, parent=parent)


@pytest.mark.parametrize("split", ["calibration", "test"])
def test_a_parent_that_learned_what_measures_the_new_classifier_is_refused(split: str) -> None:
    dataset = made_dataset()
    parent = that_learned("parent", learned_from(dataset, split))
    with pytest.raises(JobRejected, match=f"32 of the 32 {split} images"):
        request_run(dataset=dataset, recipe=LEARNING_ALL, parent=parent)
    # Older bundles too, by their registered data set.
    moved = made_dataset("moved", seed=500)
    older = classifier_named("older", **data_of(moved), **TINY)
    row = moved.examples.filter(split="train")[0]
    tested = dataset.examples.filter(split=split)[0]
    dataset.examples.filter(pk=tested.pk).update(lesion_id=row.lesion_id)
    with pytest.raises(JobRejected, match=f"1 of the 32 {split} images"):
        request_run(dataset=dataset, recipe=LEARNING_ALL, parent=older)


def test_a_parent_of_which_nothing_is_known_is_a_warning() -> None:
    dataset = made_dataset()
    unknown = classifier_named("unknown", **TINY)
    assert any("Nobody knows here whether unknown" in each for each in warnings_of(dataset, SMOKE, unknown))
    assert request_run(dataset=dataset, recipe=SMOKE, parent=unknown).parent == unknown
    known = that_learned("known", Learned.of([]))
    assert warnings_of(dataset, SMOKE, known) == []


def test_a_worker_tells_the_training_what_an_older_parent_has_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, theirs = made_dataset(), made_dataset("b", seed=500)
    parent = classifier_named("older", **data_of(theirs), **TINY)
    told: dict[str, Any] = {}

    def stop(**arguments: Any) -> None:
        told.update(arguments)
        raise RecipeError("far enough")

    monkeypatch.setattr("training.worker.training.train_classifier", stop)
    monkeypatch.setattr("training.worker.training.registered_bundle", lambda classifier: None)
    _run, claim = begin_run(dataset=dataset, recipe=SMOKE, parent=parent)
    assert train_claimed(claim) == Job.Status.FAILED
    assert told["parent_learned"].complete
    assert len(told["parent_learned"].overlap(picture_ids(theirs, ["train", "test"]))) == 80


def test_a_diagnosis_without_a_training_image_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    dataset = made_dataset()
    dataset.examples.filter(diagnosis__in=["DF", "SCC"], split="train").delete()
    assert absent_diagnoses(dataset, SMOKE) == ["DF", "SCC"]
    assert absent_diagnoses(dataset, LEARNING_ALL) == []
    call_command("train", dataset.name, "--recipe", "SMOKE", "--queue")
    assert "not one training image of DF, SCC" in capsys.readouterr().err
    assert TrainingRun.objects.count() == 1


# --- The pages --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(client: Client) -> Client:
    client.force_login(User.objects.create_user("admin@example.org", "a long password", role=Role.ADMINISTRATOR))
    return client


def test_the_form_offers_to_learn_validation_where_the_parent_has(page: Client) -> None:
    dataset = made_dataset()
    parent = that_learned("parent", learned_from(dataset, "train", "validation"))
    address = reverse("admin:training_trainingrun_add")

    def ticked(content: str) -> bool:
        box = re.search(r'<input [^>]*name="fine_tune.learn_validation"[^>]*>', content)
        assert box is not None
        return " checked" in box[0]

    def shown(parent: str) -> str:
        return page.get(address, {"dataset": str(dataset.pk), "recipe": "SMOKE", "parent": parent}).content.decode()

    content = shown(str(parent.pk))
    assert "parent has learned 16 of the 16 validation images of made already" in content
    assert ticked(content)
    content = shown("")
    assert "has learned" not in content
    assert not ticked(content)


def test_a_run_says_which_diagnosis_it_cannot_learn(page: Client) -> None:
    dataset = made_dataset()
    dataset.examples.filter(diagnosis="DF", split="train").delete()
    sentence = "not one training image of DF"
    address = reverse("admin:training_trainingrun_add")
    assert sentence in page.get(address, {"dataset": str(dataset.pk), "recipe": "SMOKE", "parent": ""}).content.decode()
    run = request_run(dataset=dataset, recipe=SMOKE)
    assert sentence in page.get(reverse("admin:training_trainingrun_change", args=[run.pk])).content.decode()
