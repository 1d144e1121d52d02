"""What a classifier and its ancestors have learned: sealed, passed on, refused where it spoils what is held back."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recognition.datasets.examples import Examples, read_examples
from recognition.datasets.identity import ids_of, picture_ids
from recognition.datasets.pictures import PictureStore
from recognition.datasets.sources import ISIC_2019, MILK10K, PAD_UFES, licence_text, sources_of
from recognition.datasets.splits import SPLITS, Split, dealt_split, split_examples
from recognition.fit.learned import ancestry, learned_by, learned_here, require_unlearned
from recognition.fit.run import train_classifier
from recognition.inference.bundle import LEARNED_NAME, Bundle, BundleError, read_bundle
from recognition.inference.learned import Learned, PictureIds
from recognition.recipes import LINEAR_PROBE, SMOKE, RecipeError, changed
from recognition.taxonomy import DERMOSCOPIC
from tests.factories import write_dataset

QUICK = changed(SMOKE, {"frozen.epochs": "2", "fine_tune.epochs": "1"})
LEARNING_ALL = changed(QUICK, {"fine_tune.learn_validation": "true"})

ROOT = Path(__file__).resolve().parents[3]
DATA, BUNDLES = ROOT.parent / "shared" / "data", ROOT / "bundles"

Data = tuple[Examples, Split, PictureStore]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    folder = write_dataset(tmp_path_factory.mktemp("isic"), per_diagnosis=24)
    with PictureStore(folder / "ISIC_2019_Training_Input.zip") as pictures:
        examples = read_examples(
            name="made",
            ground_truth=folder / "ISIC_2019_Training_GroundTruth.csv",
            metadata=folder / "ISIC_2019_Training_Metadata.csv",
            pictures=pictures,
        )
        yield examples, split_examples(examples.table), pictures


@pytest.fixture(scope="module")
def parent(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return train(data, tmp_path_factory.mktemp("parent"), recipe=LEARNING_ALL, version="parent")


def train(data: Data, folder: Path, *, split: Split | None = None, **further: Any) -> Bundle:
    examples, own, pictures = data
    return train_classifier(
        examples=examples,
        split=split or own,
        pictures=pictures,
        imagenet_weights=None,
        work=folder / "work",
        directory=folder / "bundle",
        **{"recipe": QUICK, "version": "made", **further},
    )


def images_of(split: Split, *names: str) -> list[str]:
    return [image for name in names for image in split.images(name)]


def test_another_picture_of_a_lesion_or_patient_and_a_copy_of_a_file_count_as_learned() -> None:
    learned = Learned.of(
        [ids_of("ISIC_1_downsampled", "f1", "L1", "P1", {"lesion_id": "L0"}), PictureIds("ISIC_2")],
        [PictureIds("ISIC_3")],
    )
    for known in (
        PictureIds("ISIC_1"), PictureIds("x", lesions=("L1",)), PictureIds("x", lesions=("L9", "L0")),
        PictureIds("x", patient="P1"), PictureIds("x", file="f1"), PictureIds("ISIC_3"),
    ):  # fmt: skip
        assert learned.overlap([known]) == [known.image]
    assert learned.overlap([PictureIds("ISIC_3")], chosen=False) == []
    # A patient is no lesion, and no name says nothing.
    assert learned.overlap([PictureIds("P1", "", ("P1", "ISIC_1"), "L1"), PictureIds("")]) == []
    assert learned.weights.dtype == np.int64
    assert (np.diff(learned.weights) > 0).all()
    both = learned | Learned.unknown()
    assert both.overlap([PictureIds("ISIC_1")])
    assert not both.complete
    again = Learned.from_tensors(both.as_tensors())
    assert np.array_equal(again.weights, both.weights)
    assert (again.complete, again.epochs.size) == (False, 1)
    with pytest.raises(ValueError, match="lists of whole numbers"):
        Learned.from_tensors({**learned.as_tensors(), "weights": learned.weights.astype(np.float32)})
    with pytest.raises(ValueError, match="lacks its part"):
        Learned.from_tensors({})


def test_the_hash_of_a_name_is_the_same_in_every_version() -> None:
    # The first eight bytes of sha256("image:ISIC_0000000"): sealed bundles hold such hashes.
    assert PictureIds("ISIC_0000000").hashes() == [-5867674524698552648]


def test_a_training_seals_what_it_has_learned_and_what_chose_its_epoch(
    data: Data, parent: Bundle, tmp_path: Path
) -> None:
    examples, split, _ = data
    learned = read_bundle(parent.directory).learned()
    assert learned is not None
    assert learned.complete
    table = examples.table
    train_and_validation = images_of(split, "train", "validation")
    assert learned.overlap(picture_ids(table, train_and_validation), chosen=False) == train_and_validation
    assert learned.overlap(picture_ids(table, images_of(split, "calibration", "test"))) == []
    # Calibration, gates and table were fitted to these; a classifier that goes on from it fits them anew.
    calibration = split.images("calibration")
    assert learned.overlap(picture_ids(table, calibration), fitted=True) == calibration
    assert learned.overlap(picture_ids(table, split.images("test")), fitted=True) == []
    assert (Learned.of(()) | learned).overlap(picture_ids(table, calibration), fitted=True) == []

    chooses = train(data, tmp_path).learned()
    assert chooses is not None
    validation = picture_ids(table, split.images("validation"))
    assert chooses.overlap(validation, chosen=False) == []
    assert chooses.overlap(validation) == split.images("validation")


def test_an_altered_file_of_what_was_learned_is_refused(parent: Bundle, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(parent.directory, tmp_path / "copy"))
    (copy / LEARNED_NAME).write_bytes(b"")
    with pytest.raises(BundleError) as caught:
        read_bundle(copy)
    assert caught.value.code == "altered"


def test_a_child_seals_what_its_parent_learned_and_names_its_ancestors(
    data: Data, parent: Bundle, tmp_path: Path
) -> None:
    examples, split, _ = data
    # The child learns half of the training pictures; the parent learned all.
    kept = split.images("train")[::2]
    fewer = split.only([*kept, *images_of(split, "validation", "calibration", "test")])
    child = train(data, tmp_path / "child", split=fewer, recipe=LEARNING_ALL, parent=parent, version="child")
    learned = child.learned()
    assert learned is not None
    assert learned.complete
    assert learned.overlap(picture_ids(examples.table, split.images("train"))) == split.images("train")
    grandchild = train(data, tmp_path / "grandchild", recipe=LEARNING_ALL, parent=child, version="grandchild")
    named = [(each["version"], each["relation"], each["dataset"]) for each in grandchild.manifest.ancestry]
    assert named == [("child", "parent", "made"), ("parent", "parent", "made")]
    assert [each["split_fingerprint"] for each in grandchild.manifest.ancestry] == [
        fewer.fingerprint, split.fingerprint,
    ]  # fmt: skip
    assert [each["sha256"] for each in grandchild.manifest.ancestry] == [child.sha256, parent.sha256]


def test_a_parent_that_learned_the_validation_pictures_is_refused_unless_they_are_learned(
    data: Data, parent: Bundle, tmp_path: Path
) -> None:
    examples, split, _ = data
    count = len(split.images("validation"))
    with pytest.raises(RecipeError, match=f"parent, or .* has learned {count} of the {count} validation pictures"):
        train(data, tmp_path, parent=parent)
    assert not (tmp_path / "work").exists()  # before anything is computed
    # A recipe without fine-tuning can only hold them back.
    with pytest.raises(RecipeError, match="validation pictures"):
        require_unlearned(LINEAR_PROBE, "p", learned_here(examples, split, learn_validation=True),
                          examples=examples, split=split)  # fmt: skip
    # To have chosen an epoch on them is no reason: SEED_FINE_TUNE goes on from SEED_TRANSFER.
    require_unlearned(QUICK, "p", learned_here(examples, split, learn_validation=False),
                      examples=examples, split=split)  # fmt: skip


@pytest.mark.parametrize("name", ["calibration", "test"])
def test_a_parent_that_learned_what_measures_the_child_is_refused_always(name: str, data: Data, parent: Bundle) -> None:
    examples, split, _ = data
    other = swapped(split, name, "train")
    with pytest.raises(RecipeError, match=rf"has learned {len(other.images(name))} of the \d+ {name} pictures"):
        require_unlearned(LEARNING_ALL, "parent", learned_by(parent, examples, other), examples=examples, split=other)


def swapped(split: Split, one: str, other: str) -> Split:
    names = {one: other, other: one}
    return dealt_split({str(image): names.get(place, place) for image, place in split.assignment.items()})


def older(bundle: Bundle, **provenance: Any) -> Bundle:
    """The bundle as one that does not say what it has learned."""
    manifest = bundle.manifest
    files = {name: each for name, each in manifest.files.items() if name != LEARNED_NAME}
    return replace(bundle, manifest=replace(manifest, files=files, ancestry=(), provenance=provenance))


def test_what_an_older_classifier_learned_is_known_where_it_was_trained_on_this_split(
    data: Data, parent: Bundle
) -> None:
    examples, split, _ = data
    alone: dict[str, Any] = {"parent": None, "teachers": []}
    orphan: dict[str, Any] = {"parent": {"version": "gone", "sha256": "0" * 64}}
    known = learned_by(older(parent, **alone), examples, split)
    assert known.complete
    sealed = parent.learned()
    assert sealed is not None
    assert np.array_equal(known.weights, sealed.weights)
    assert not learned_by(older(parent, **orphan), examples, split).complete
    assert not learned_by(older(parent, **alone), examples, swapped(split, "train", "test")).complete
    # A teacher had to be of the same split.
    taught = learned_by(older(parent, **orphan, teachers=[orphan["parent"]]), examples, split)
    assert taught.complete


def test_the_ancestors_that_an_older_manifest_names(parent: Bundle) -> None:
    gone, teacher = {"version": "gone", "sha256": "0" * 64}, {"version": "taught", "sha256": "1" * 64}
    entries = ancestry(parent=older(parent, parent=gone, teachers=[teacher]))
    by_version = {each["version"]: each for each in entries}
    assert [*by_version] == ["parent", "taught", "gone"]
    assert by_version["taught"]["split_fingerprint"] == parent.manifest.split["fingerprint"]
    assert by_version["gone"]["split_fingerprint"] == ""
    assert by_version["gone"]["relation"] == "parent"


def test_the_default_classifier_has_learned_no_picture_that_measures_it() -> None:
    data = DATA / "isic2019-subset-400px"
    if not data.is_dir():
        pytest.skip("needs ../shared/data")
    tables = {name: data / f"ISIC_2019_Training_{name}.csv" for name in ("GroundTruth", "Metadata")}
    examples = read_examples(name="isic2019-subset", ground_truth=tables["GroundTruth"], metadata=tables["Metadata"])
    default = read_bundle(BUNDLES / "default")
    learned = default.learned()
    assert learned is not None
    assert learned.complete
    # Its data joined these pictures with others. Exactly those it was tested on were neither learned nor fitted to.
    ids = picture_ids(examples.table, examples.table["image"].tolist())
    untouched = len(ids) - len(learned.overlap(ids, fitted=True))
    collections = default.manifest.image_types[DERMOSCOPIC]["metrics"]["collections"]
    tested = [each["picture_alone"]["pictures"] for name, each in collections.items() if name != MILK10K.name]
    assert untouched == sum(tested) > 1000


def table_of(*rows: tuple[str, str]) -> Sequence[PictureIds]:
    return [PictureIds(image, lesions=(lesion,)) for image, lesion in rows]


def test_the_licence_names_every_source_with_its_citations(parent: Bundle) -> None:
    everything = sources_of(table_of(("PAT_1_2_3", "PAT_1_2"), ("ISIC_1", "IL_1"), ("ISIC_2", "HAM_2")))
    assert everything == [ISIC_2019.name, MILK10K.name, PAD_UFES.name]
    text = licence_text(everything)
    assert text.startswith("Non-commercial use only")
    for named in ("Tschandl 2018", "Codella 2018", "Combalia 2019", "MILK study team 2025", "Pacheco 2020"):
        assert named in text
    assert "Non-commercial" not in licence_text([PAD_UFES.name])
    assert parent.manifest.licence == licence_text([ISIC_2019.name])
    assert parent.manifest.dataset["sources"] == [ISIC_2019.name]


def test_a_diagnosis_without_a_training_picture_is_sealed_as_absent(data: Data, tmp_path: Path) -> None:
    _, split, _ = data
    rare = [image for image in split.images("train") if image in of_diagnosis(data[0].table, "DF")]
    fewer = split.only(set(images_of(split, *SPLITS)) - set(rare))
    assert train(data, tmp_path / "absent", split=fewer, version="absent").manifest.absent == ("DF",)
    learns_all = train(data, tmp_path / "learned", split=fewer, recipe=LEARNING_ALL, version="learned")
    assert learns_all.manifest.absent == ()  # validation has pictures of it, which are learned


def of_diagnosis(table: pd.DataFrame, code: str) -> set[str]:
    return set(table.loc[table["diagnosis"] == code, "image"])
