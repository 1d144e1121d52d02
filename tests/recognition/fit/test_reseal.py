"""Sealing again: from a bundle and its data to the same figures, another input size, more views, other data."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from recognition.datasets.examples import Examples, read_examples
from recognition.datasets.joined import read_joined, write_joined
from recognition.datasets.other_pictures import OtherPictures
from recognition.datasets.pictures import PictureStore
from recognition.datasets.splits import SPLITS, split_examples
from recognition.evaluation import metrics
from recognition.evaluation.model_card import model_card
from recognition.fit import fine_tune
from recognition.fit.calibration.assessment import OOD_SHARE_WITH_OTHERS
from recognition.fit.reseal import ResealError, choosing_split, compare, differences, reseal, split_of
from recognition.inference.assessment import Decision
from recognition.inference.bundle import LEARNED_NAME, OOD_NAME, Bundle, read_bundle
from recognition.inference.ood import METHOD_WITH_OTHERS
from recognition.inference.runtime import load_classifier
from recognition.recipes import SMOKE, changed
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, IMAGE_TYPES, Diagnosis
from tests.factories import jpeg_bytes, made_picture, write_dataset
from tests.recognition.fit.trained import trained_in
from training.management.commands.reseal_classifier import BEWARE

PREFIX = "ISIC_2019_Training_"
PER_DIAGNOSIS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("isic"), per_diagnosis=PER_DIAGNOSIS)


@pytest.fixture(scope="module")
def data(folder: Path) -> Iterator[tuple[Examples, PictureStore]]:
    with PictureStore(folder / f"{PREFIX}Input.zip") as pictures:
        yield (
            read_examples(
                name="made",
                ground_truth=folder / f"{PREFIX}GroundTruth.csv",
                metadata=folder / f"{PREFIX}Metadata.csv",
                pictures=pictures,
            ),
            pictures,
        )


@pytest.fixture(scope="module", autouse=True)
def enough() -> Iterator[None]:
    """Gates and decision are sealed although the calibration split of the generated data set is small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recognition.fit.calibration.assessment.ENOUGH", 8)
        patch.setattr("recognition.fit.seal.ENOUGH", 8)
        yield


@pytest.fixture(scope="module")
def trained(data: tuple[Examples, PictureStore], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    examples, pictures = data
    place = tmp_path_factory.mktemp("run")
    return trained_in(place, examples, pictures, recipe=changed(SMOKE, {"fine_tune.epochs": "8"}), version="smoke")


def test_a_training_seals_gates_decision_and_sets(trained: Bundle) -> None:
    (kind,) = trained.manifest.image_types
    assert kind == DERMOSCOPIC
    entry = trained.manifest.image_types[kind]
    block, figures = entry["assessment"], entry["metrics"]
    assert set(block) >= {"quality", "familiarity", "conformal", "decision", "live", "monitor_days"}
    assert OOD_NAME in trained.manifest.files
    for name in ("soon", "urgent"):
        assert set(block["decision"][name]) == {"threshold", "sensitivity", "specificity", "melanoma_sensitivity"}
        rate = figures["advice"][name]["sensitivity"]
        assert rate["low"] <= rate["value"] <= rate["high"]
    assert figures["prediction_set"]["coverage"]["value"] == block["conformal"]["test_coverage"]
    assert figures["gates"]["familiarity"]["value"] == block["familiarity"]["refused_share_test"]
    assert sum(figures["prediction_set"]["sizes"].values()) == figures["pictures"]
    assert len(set(block["conformal"]["thresholds"].values())) == 1
    assert block["live"]["pictures"] == trained.manifest.split["pictures"]["calibration"]
    # Ages, sites and sexes of the made data say nothing, and nobody was asked anything.
    assert set(trained.manifest.metadata_table) == {"age_approx", "sex", "anatom_site_general"}
    assert entry["calibration"]["strengths"]["answers"] == 0.0
    assert (trained.manifest.case_mix["name"], trained.manifest.lesion) == ("HAM10000", {})
    assert trained.detectors().image_type is None


@dataclass
class Swapped:
    """The pictures of a data set, those of one split in each other's place."""

    pictures: PictureStore
    images: Sequence[str]

    def picture(self, image: str) -> Image.Image:
        if image in self.images:
            image = self.images[-1 - self.images.index(image)]
        return self.pictures.picture(image)


OF_THE_TEST_SPLIT = {
    "familiarity": {"refused_share_test"},
    "conformal": {"test_coverage", "test_mean_size", "test_wide_share"},
    "score": {"pictures", "malignant", "by_diagnosis", "share", "low", "high"},
}
"""The values of the assessment block that are measured on the test split; they decide nothing."""


def chosen(bundle: Bundle) -> dict[str, Any]:
    """Everything in a bundle that decides the assessment of a photo, except the weights."""
    manifest = bundle.manifest
    block = json.loads(json.dumps(manifest.image_types[DERMOSCOPIC]["assessment"]))
    for part, names in OF_THE_TEST_SPLIT.items():
        entries = block.get(part, [])  # a score needs more calibration pictures than there are here
        for entry in entries if isinstance(entries, list) else [entries]:
            for name in names:
                del entry[name]
    return {
        "calibration": manifest.image_types[DERMOSCOPIC]["calibration"],
        "metadata_table": manifest.metadata_table,
        "operating_points": manifest.image_types[DERMOSCOPIC]["operating_points"],
        "familiarity_tensors": manifest.files[OOD_NAME],
        **block,
    }


def test_nothing_that_decides_is_chosen_on_test_pictures(
    trained: Bundle, data: tuple[Examples, PictureStore], tmp_path: Path
) -> None:
    examples, pictures = data
    split = split_of(trained, examples)

    def sealed(name: str) -> Bundle:
        swapped = Swapped(pictures, split.images(name))
        return reseal(trained, examples=examples, pictures=swapped, directory=tmp_path / name, version=name)

    test, calibration = sealed("test"), sealed("calibration")
    assert test.manifest.image_types[DERMOSCOPIC]["metrics"] != trained.manifest.image_types[DERMOSCOPIC]["metrics"]
    assert chosen(test) == chosen(trained)
    before, after = chosen(trained), chosen(calibration)
    moved = {name for name in before if before[name] != after[name]}
    assert moved >= {"calibration", "operating_points", "conformal", "decision", "live"}


def test_its_card_tells_them(trained: Bundle) -> None:
    card = model_card(trained)
    assert "## Pictures taken through a dermatoscope" in card
    assert "melanomas found" in card
    assert "reseal_classifier" in card


def test_every_answer_carries_what_was_sealed(trained: Bundle) -> None:
    outcomes = load_classifier(trained, "onnx").classify([made_picture(code, 900) for code in ("MEL", "NV", "VASC")])
    for outcome in outcomes:
        assert outcome.assessment.prediction_set[0] == outcome.diagnosis
        if outcome.assessment.decision != Decision.NOT_ASSESSED:
            settings = trained.assessor().image_types[DERMOSCOPIC].limits
            urgent = outcome.malignant_score >= settings.urgent
            assert (outcome.assessment.decision == Decision.URGENT) == urgent


def test_what_was_learned_does_not_choose(
    data: tuple[Examples, PictureStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples, pictures = data
    split = split_examples(examples.table)
    taught: dict[str, int] = {}

    def tuned(network: Any, **arguments: Any) -> Any:
        taught.update({name: len(labels) for name, labels in arguments["labels"].items()})
        assert taught == {name: len(each) for name, each in arguments["references"].items()}
        return fine_tune(network, **arguments)

    monkeypatch.setattr("recognition.fit.run.fine_tune", tuned)
    bundle = trained_in(
        tmp_path,
        examples,
        pictures,
        recipe=changed(SMOKE, {"fine_tune.epochs": "8", "fine_tune.learn_validation": "true"}),
        version="all",
    )
    sizes = {name: len(split.images(name)) for name in ("train", "validation")}
    assert taught == {"train": sizes["train"] + sizes["validation"], "validation": sizes["validation"]}
    assert "the last epoch was kept" in " ".join(model_card(bundle).split())
    assert choosing_split(bundle) == "calibration"
    choice = next(compare(bundle, examples=examples, pictures=pictures, sizes=[32], views=[1]))
    images = split.images("calibration")
    answers = load_classifier(bundle, "onnx").classify([pictures.picture(image) for image in images])
    diagnoses = dict(zip(examples.table["image"], map(CODES.index, examples.table["diagnosis"]), strict=True))
    truth = np.array([diagnoses[image] for image in images])
    # Of the picture alone and in a balanced world another temperature changes no diagnosis.
    logits = np.stack([answer.outputs.logits for answer in answers])
    assert choice.kinds[DERMOSCOPIC].balanced_accuracy == pytest.approx(metrics.balanced_accuracy(truth, logits))
    assert set(choice.kinds) == {DERMOSCOPIC}


def test_sealed_again_every_figure_is_the_same(
    trained: Bundle, data: tuple[Examples, PictureStore], tmp_path: Path
) -> None:
    examples, pictures = data
    again = reseal(
        trained,
        examples=examples,
        pictures=pictures,
        directory=tmp_path / "again",
        version="again",
        keep_answers=tmp_path / "kept",
    )
    assert differences(trained.manifest.image_types, again.manifest.image_types) == []
    assert again.manifest.files["weights.safetensors"] == trained.manifest.files["weights.safetensors"]
    assert again.manifest.provenance["resealed_from"] == {"version": "smoke", "sha256": trained.sha256}
    assert list((tmp_path / "kept").glob("answers-*.npz"))


def test_another_size_and_more_views_are_sealed_with_their_own_figures(
    trained: Bundle, data: tuple[Examples, PictureStore], tmp_path: Path
) -> None:
    examples, pictures = data
    other = reseal(
        trained,
        examples=examples,
        pictures=pictures,
        directory=tmp_path / "other",
        version="other",
        input_size=64,
        views=2,
    )
    manifest = read_bundle(tmp_path / "other").manifest
    assert (manifest.views, manifest.architecture.input_size, manifest.preprocessing.input_size) == (2, 64, 64)
    assert differences(
        trained.manifest.image_types[DERMOSCOPIC]["metrics"], other.manifest.image_types[DERMOSCOPIC]["metrics"]
    )
    assert len(load_classifier(other, "onnx").classify([made_picture("NV", 1)])[0].probabilities) == 8


def test_ways_of_serving_are_compared_on_validation(
    trained: Bundle, data: tuple[Examples, PictureStore], tmp_path: Path
) -> None:
    examples, pictures = data
    size = trained.manifest.architecture.input_size
    found = list(
        compare(trained, examples=examples, pictures=pictures, sizes=[size], views=[1, 2], keep_answers=tmp_path)
    )
    assert [(choice.input_size, choice.views) for choice in found] == [(size, 1), (size, 2)]
    history = trained.manifest.provenance["history"]["fine_tune"]
    assert choosing_split(trained) == "validation"
    # The epoch that was kept had the best balanced accuracy on these very pictures; float16 moves it little.
    assert found[0].kinds[DERMOSCOPIC].balanced_accuracy == pytest.approx(
        max(each["balanced_accuracy"] for each in history), abs=0.05
    )


def test_other_data_are_refused(trained: Bundle, tmp_path: Path) -> None:
    place = write_dataset(tmp_path / "isic", per_diagnosis=PER_DIAGNOSIS + 2)
    with PictureStore(place / f"{PREFIX}Input.zip") as pictures:
        examples = read_examples(name="made", ground_truth=place / f"{PREFIX}GroundTruth.csv", pictures=pictures)
        with pytest.raises(ResealError, match="other data"):
            split_of(trained, examples)


def test_the_command_checks_and_finds_a_figure_that_was_made_up(trained: Bundle, folder: Path, tmp_path: Path) -> None:
    import shutil

    out = StringIO()
    call_command("reseal_classifier", bundle=trained.directory, data=folder, stdout=out)
    assert "Every figure of smoke is reproduced" in out.getvalue()
    copy = Path(shutil.copytree(trained.directory, tmp_path / "copy"))
    values = json.loads((copy / "manifest.json").read_text())
    values["image_types"][DERMOSCOPIC]["metrics"]["balanced_accuracy"]["value"] = 0.999
    (copy / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(CommandError, match=r"dermoscopic\.metrics\.balanced_accuracy\.value: sealed 0\.999"):
        call_command("reseal_classifier", bundle=copy, data=folder)


def test_the_command_shows_no_figure_of_the_test_split_while_there_is_a_choice(
    trained: Bundle, folder: Path, tmp_path: Path
) -> None:
    out = StringIO()
    where = {"bundle": trained.directory, "data": folder, "work": tmp_path / "kept", "stdout": out}
    call_command("reseal_classifier", compare=[32], views=1, **where)
    call_command("reseal_classifier", output=tmp_path / "new", views=1, **where)
    lines = out.getvalue().splitlines()
    assert lines[0] == f"validation split, {BEWARE['validation']}"
    columns, figures = lines[3:5]
    assert len(figures.split()) == len(["size", "views", "accuracy", "AUC", "log loss", "mean", "kind"])
    assert columns.endswith("kind of picture")
    assert figures.endswith(DERMOSCOPIC)
    at = next(number for number, line in enumerate(lines) if line.startswith("Sealed smoke-resealed"))
    test = read_bundle(tmp_path / "new").manifest.image_types[DERMOSCOPIC]["metrics"]["balanced_accuracy"]["value"]
    assert f"{test:.3f}" not in "".join(lines[at:])


def test_ways_of_serving_are_compared_by_collection(knows_both: Bundle, two_kinds: Path, tmp_path: Path) -> None:
    size = knows_both.manifest.architecture.input_size

    def shown(*sizes: int) -> str:
        out = StringIO()
        call_command(
            "reseal_classifier", bundle=knows_both.directory, data=two_kinds, compare=sizes, views=1,
            work=tmp_path / "kept", stdout=out,
        )  # fmt: skip
        return out.getvalue()

    pictures = 8 * len(range(1, PAIRS, 4))
    as_sealed = shown(size)
    for row in (
        "no known collection through a dermatoscope, picture alone",
        "no known collection with a phone or a camera, picture alone",
        "no known collection with a phone or a camera, with what is known beside it",
        "a picture of each kind of one lesion, joint answer without metadata",
    ):
        assert f"| {row} | {pictures} | {pictures} |" in as_sealed
    assert "| refused | calibration error |" in as_sealed
    other = shown(size * 2)
    assert "| balanced accuracy | AUC, cancer |\n" in other
    assert "nothing that depends on a sealed limit" in other


def test_what_is_compared_on_the_test_split_is_what_is_sealed(
    knows_both: Bundle, two_kinds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recognition.fit.reseal.choosing_split", lambda _bundle: "test")
    monkeypatch.setattr("recognition.evaluation.measure.FEWEST_LESIONS", FEWEST)
    sealed = knows_both.manifest
    data = read_joined(two_kinds)
    with data.pictures:
        (found,) = compare(
            knows_both,
            examples=data.examples,
            pictures=data.pictures,
            split=data.split,
            sizes=[sealed.architecture.input_size],
            views=[1],
        )
    for kind, block in sealed.image_types.items():
        assert differences(block["metrics"]["collections"], found.collections[kind]) == []
    assert differences(sealed.lesion["metrics"], found.lesion) == []
    assert found.lesion["joint"]["balanced_accuracy"]["value"] is not None


def test_the_command_refuses_what_makes_no_sense(trained: Bundle, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--output"):
        call_command("reseal_classifier", bundle=trained.directory, data=folder, views=2)
    with pytest.raises(CommandError, match="--new-data"):
        call_command("reseal_classifier", bundle=trained.directory, data=folder, learned_from=folder)
    with pytest.raises(CommandError, match="no bundle"):
        call_command("reseal_classifier", bundle=tmp_path, data=folder)


PAIRS = 14
"""Lesions of each diagnosis in the data of two kinds, each with a picture of each kind."""

FEWEST = 5
"""Fewest lesions of a side for a figure: the test split of these data has nine with a cancer."""


def write_two_kinds(folder: Path, *, learned: Sequence[str] = ()) -> Path:
    """A joined data set of pairs that no classifier here has learned; `learned` are images to put into its test split.

    Close-ups are greenish. Of most of them it is known whether the spot bled: cancers did.
    """
    rows, files = [], {}
    for code in CODES:
        for number in range(PAIRS):
            for kind in (DERMOSCOPIC, CLOSE_UP):
                image = f"PAIR_{code}{number:03d}{kind[0]}"
                picture = made_picture(code, 5000 + number)
                if kind == CLOSE_UP:
                    picture = Image.fromarray((np.asarray(picture) * [0.6, 1.0, 0.6]).astype(np.uint8))
                files[image] = jpeg_bytes(picture)
                bled = {"bleed": str(Diagnosis(code).malignant)} if kind == CLOSE_UP and number > 3 else {}
                rows.append((image, code, kind, f"pair-{code}{number}", SPLITS[number % 4], bled))
    for image in learned:
        files[image] = jpeg_bytes(made_picture("NV", 1))
        rows.append((image, "NV", DERMOSCOPIC, f"lesion-{image}", "test", {}))
    table = pd.DataFrame(rows, columns=["image", "diagnosis", "image_type", "lesion_id", "split", "details"]).assign(
        age_approx=np.nan, sex=None, anatom_site_general=None, patient_id=None
    )
    table["sha256"] = [hashlib.sha256(files[image]).hexdigest() for image in table["image"]]
    table["member"] = table["image"] + ".jpg"
    write_joined(folder, table, files.__getitem__, name="pairs", seed=1)
    return folder


@pytest.fixture(scope="module")
def two_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_two_kinds(tmp_path_factory.mktemp("joined") / "pairs")


@pytest.fixture(scope="module")
def knows_both(trained: Bundle, two_kinds: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recognition.fit.calibration.lesion.PAIRS_ENOUGH", 8)
        patch.setattr("recognition.fit.calibration.points.MELANOMAS_MIN", 2)
        patch.setattr("recognition.evaluation.measure.FEWEST_LESIONS", FEWEST)
        place = tmp_path_factory.mktemp("both") / "bundle"
        call_command(
            "reseal_classifier", bundle=trained.directory, data=two_kinds, new_data=True, output=place,
            work=place.parent / "kept", bundle_version="both",
        )  # fmt: skip
    return read_bundle(place)


def test_on_data_of_two_kinds_the_same_weights_know_both(trained: Bundle, knows_both: Bundle) -> None:
    manifest = knows_both.manifest
    assert manifest.files["weights.safetensors"] == trained.manifest.files["weights.safetensors"]
    assert set(manifest.image_types) == set(IMAGE_TYPES)
    for kind, entry in manifest.image_types.items():
        assert entry["metrics"]["pictures"] == 8 * len(range(3, PAIRS, 4)), kind
        assert set(entry["metrics"]["prediction_set"]["coverage"]) == {"value", "low", "high"}
        assert set(entry["assessment"]) >= {"quality", "familiarity", "conformal", "decision"}
    # Bleeding was asked of close-ups alone, and it says everything.
    assert manifest.image_types[DERMOSCOPIC]["calibration"]["strengths"] == {"demographics": 0.0, "answers": 0.0}
    assert manifest.image_types[CLOSE_UP]["calibration"]["strengths"]["answers"] > 0.5
    told = manifest.image_types[CLOSE_UP]["metrics"]["metadata"]["answers"]
    assert told["with"]["pictures"] == told["without"]["pictures"] == 8 * 2
    assert set(manifest.image_types[DERMOSCOPIC]["metrics"]["metadata"]) == set()
    assert (manifest.dataset["name"], manifest.ancestry[0]["sha256"]) == ("pairs", trained.sha256)
    learned, before = knows_both.learned(), trained.learned()
    assert learned is not None and before is not None
    assert np.array_equal(learned.weights, before.weights)


def test_the_kind_is_recognised_and_pairs_are_answered_together(knows_both: Bundle) -> None:
    manifest = knows_both.manifest
    assert manifest.image_type_head["metrics"]["accuracy"]["value"] > 0.9
    assert set(manifest.lesion["decision"]) == {"soon", "urgent"}
    assert set(manifest.lesion["metrics"]) == {*IMAGE_TYPES, "joint"}
    assert manifest.lesion["metrics"]["joint"]["pictures"] == 8 * len(range(3, PAIRS, 4))
    picture = made_picture("NV", 9000)
    green = Image.fromarray((np.asarray(picture) * [0.6, 1.0, 0.6]).astype(np.uint8))
    first, second = load_classifier(knows_both, "onnx").classify([picture, green])
    assert (first.answer.image_type, second.answer.image_type) == IMAGE_TYPES
    assert second.answer.source == "recognised"


def test_what_the_network_has_learned_measures_it_on_no_data(
    trained: Bundle, data: tuple[Examples, PictureStore], two_kinds: Path, tmp_path: Path
) -> None:
    where = {"bundle": trained.directory, "work": tmp_path / "kept", "output": tmp_path / "new"}
    with pytest.raises(CommandError, match="sealed on other data"):
        call_command("reseal_classifier", data=two_kinds, **where)
    taught = split_of(trained, data[0]).images("train")[0]
    spoiled = write_two_kinds(tmp_path / "spoiled", learned=[taught])
    with pytest.raises(CommandError, match=f"has learned 1 of the .* test pictures.* {taught} among them"):
        call_command("reseal_classifier", data=spoiled, new_data=True, **where)
    assert not (tmp_path / "new").exists()


def test_an_older_bundle_is_told_what_it_has_learned(
    trained: Bundle, folder: Path, two_kinds: Path, tmp_path: Path
) -> None:
    import shutil

    older = Path(shutil.copytree(trained.directory, tmp_path / "older"))
    values = json.loads((older / "manifest.json").read_text())
    del values["files"][LEARNED_NAME]
    (older / "manifest.json").write_text(json.dumps(values))
    where = {
        "bundle": older,
        "data": two_kinds,
        "new_data": True,
        "work": tmp_path / "kept",
        "output": tmp_path / "new",
    }
    with pytest.raises(CommandError, match="Nobody can say what smoke"):
        call_command("reseal_classifier", **where)
    with pytest.raises(CommandError, match="sealed on other data"):
        call_command("reseal_classifier", learned_from=two_kinds, **where)
    call_command("reseal_classifier", learned_from=folder, **where)
    learned, before = read_bundle(tmp_path / "new").learned(), trained.learned()
    assert learned is not None and before is not None
    assert np.array_equal(learned.weights, before.weights)


@pytest.fixture(scope="module")
def other_pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Twelve patched cloths and twelve grey walls, each once more in another size, and their table."""
    place = tmp_path_factory.mktemp("others")
    folder, random = place / "pictures", np.random.default_rng(5)
    folder.mkdir()
    rows = ["image,kind"]
    for at in range(12):
        patches = {
            "cloth": random.integers(0, 255, (12, 15, 3)),
            "wall": random.integers(60, 200, (12, 15, 1)).repeat(3, axis=2),
        }
        for kind, colours in patches.items():
            picture = Image.fromarray(colours.astype(np.uint8)).resize((300, 240), Image.Resampling.BICUBIC)
            picture.save(folder / f"{kind}_{at:02}.png")
            picture.resize((250, 200)).save(folder / f"{kind}_{at:02}_copy.png")
            rows += [f"{kind}_{at:02}.png,{kind}", f"{kind}_{at:02}_copy.png,{kind}"]
    (place / "labels.csv").write_text("\n".join(rows))
    return folder, place / "labels.csv"


def test_gates_learn_from_one_half_of_other_pictures_and_are_measured_on_the_other(
    trained: Bundle, folder: Path, other_pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    others = OtherPictures.read(*other_pictures)
    halves = dict(zip(others.images, others.learned, strict=True))
    others.close()
    assert all(halves[image] == halves[f"{image}_copy"] for image in halves if not image.endswith("_copy"))

    where = {"bundle": trained.directory, "data": folder, "work": tmp_path / "kept"}
    call_command("reseal_classifier", output=tmp_path / "new", other_pictures=other_pictures, **where)
    sealed = read_bundle(tmp_path / "new")
    part, gate = sealed.manifest.other_pictures, sealed.manifest.image_types[DERMOSCOPIC]["assessment"]["familiarity"]
    learned = int(sum(halves.values()))
    assert len(part["learned"]) == learned
    assert part["refused"]["all"]["pictures"] == 48 - learned
    assert part["refused"]["all"]["value"] >= 0.9
    assert (gate["method"], gate["refused_share_calibration"]) == (METHOD_WITH_OTHERS, OOD_SHARE_WITH_OTHERS)
    card = " ".join(model_card(sealed).split())
    assert f"learned from {learned} pictures of none of the eight" in card
    assert "| cloth | " in card
    # Sealed without them the gates know nothing of them, as an administrator's own training.
    assert trained.manifest.other_pictures == {}
    assert "learned from no pictures of anything else" in " ".join(model_card(trained).split())

    out = StringIO()
    call_command(
        "measure_other_pictures", bundle=sealed.directory, pictures=other_pictures[0], labels=other_pictures[1],
        stdout=out,
    )  # fmt: skip
    assert f"of {learned} that the classifier has learned from none is measured" in out.getvalue()
    shown = part["refused"]["all"]
    assert f"all {shown['pictures']:>4} pictures: {shown['value']:.3f}" in out.getvalue()

    check = {"bundle": sealed.directory, "data": folder}
    with pytest.raises(CommandError, match="name them by --other-pictures"):
        call_command("reseal_classifier", **check)
    call_command("reseal_classifier", other_pictures=other_pictures, stdout=out, **check)
    assert "Every figure of smoke-resealed is reproduced" in out.getvalue()
    with pytest.raises(CommandError, match="not sealed with these"):
        call_command("reseal_classifier", bundle=trained.directory, data=folder, other_pictures=other_pictures)


def test_a_table_that_names_too_few_other_pictures_is_a_sentence(
    trained: Bundle, folder: Path, other_pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "few.csv").write_text("image,kind\ncloth_00.png,cloth\n")
    with pytest.raises(CommandError, match="names 1 of these pictures, too few"):
        call_command(
            "reseal_classifier", bundle=trained.directory, data=folder, output=tmp_path / "new",
            other_pictures=(other_pictures[0], tmp_path / "few.csv"),
        )  # fmt: skip


def test_differences_name_the_place() -> None:
    assert differences({"a": [1.0, {"b": "x"}]}, {"a": [1.0004, {"b": "x"}]}) == []
    assert differences({"a": [1.0, None]}, {"a": [1.5, None]}) == ["a.0: sealed 1.0, now 1.5"]
    # An older bundle lacks metrics; what it decides by, it has.
    assert differences({"metrics": {"a": 1}}, {"metrics": {"a": 1, "b": 1}}, "kind.") == []
    assert differences({"metrics": {"a": 1}}, {"metrics": {}}, "kind.") == ["kind.metrics.a: only once there"]
    assert differences({"a": 1}, {"b": 1}) == ["a: only once there", "b: only once there"]
    assert differences({"a": True}, {"a": 1}) == []
    assert differences([1], [1, 2]) == [": sealed [1], now [1, 2]"]
