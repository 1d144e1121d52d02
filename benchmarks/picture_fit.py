"""How a classifier answers pictures that are stretched, padded or cropped to a square, upright and turned once.

Takes about 200 pictures of the classifier's calibration split, never of its test split, with the rare diagnoses whole.
Figures: how often a quarter turn changes the advice and the diagnosis; balanced accuracy, AUC of cancers against the
rest, and the share that is not assessed. The default classifier learned stretched pictures, which favours stretching.

    python -m benchmarks.picture_fit [DATA [BUNDLE [PICTURES]]]
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from recognition.datasets.examples import read_examples
from recognition.datasets.pictures import PictureStore
from recognition.datasets.splits import CALIBRATION, split_examples
from recognition.evaluation.metrics import balanced_accuracy, malignant_auc
from recognition.inference.assessment import Decision
from recognition.inference.bundle import Bundle, read_bundle
from recognition.inference.preprocessing import FITS
from recognition.inference.runtime import Classification, load_classifier
from recognition.taxonomy import CODES

ROOT: Final = Path(__file__).resolve().parents[1]
PREFIX: Final = "ISIC_2019_Training_"


def chosen(bundle: Bundle, data: Path, store: PictureStore, pictures: int) -> tuple[list[str], list[str]]:
    """Names and diagnoses of calibration pictures, the rare diagnoses whole and the others in equal numbers."""
    rows = read_examples(
        name=data.name,
        ground_truth=data / f"{PREFIX}GroundTruth.csv",
        metadata=data / f"{PREFIX}Metadata.csv",
        pictures=store,
    ).table
    sealed = bundle.manifest.split
    split = split_examples(rows, shares=sealed["shares"], seed=sealed["seed"])
    if split.fingerprint != sealed["fingerprint"]:
        raise SystemExit(f"{bundle.version} was trained on another split than that of {data}.")
    calibration = rows[rows["image"].isin(split.images(CALIBRATION))]
    most = next(size for size in range(1, 1000) if calibration.groupby("diagnosis").head(size).shape[0] >= pictures)
    taken = calibration.groupby("diagnosis").head(most)
    return taken["image"].tolist(), taken["diagnosis"].tolist()


def main(data: Path, folder: Path, pictures: int) -> None:
    """Measure and print."""
    bundle = read_bundle(folder)
    with PictureStore(data / f"{PREFIX}Input.zip") as store:
        images, diagnoses = chosen(bundle, data, store, pictures)
        upright = [store.picture(image) for image in images]
    labels = np.array([CODES.index(each) for each in diagnoses])
    print(f"{bundle.version}, {len(images)} calibration pictures of {data.name}", flush=True)
    turned = [picture.transpose(Image.Transpose.ROTATE_90) for picture in upright]
    for fit in FITS:
        preprocessing = replace(bundle.manifest.preprocessing, fit=fit)
        served = replace(bundle, manifest=replace(bundle.manifest, preprocessing=preprocessing))
        classifier = load_classifier(served, "onnx")
        one, other = classifier.classify(upright), classifier.classify(turned)
        probabilities = np.stack([each.probabilities for each in one])
        advice = np.mean([a.assessment.decision != b.assessment.decision for a, b in zip(one, other, strict=True)])
        moved = np.mean([a.diagnosis != b.diagnosis for a, b in zip(one, other, strict=True)])
        print(
            f"{fit:8} a quarter turn changes the advice of {advice:.1%}, the diagnosis of {moved:.1%}; "
            f"balanced accuracy {balanced_accuracy(labels, probabilities):.3f}, "
            f"AUC of cancers {malignant_auc(labels, probabilities):.3f}, not assessed {refused(one):.1%}",
            flush=True,
        )


def refused(answers: list[Classification]) -> float:
    """Share of the answers without an assessment."""
    return float(np.mean([each.assessment.decision == Decision.NOT_ASSESSED for each in answers]))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        Path(given[0]) if given else ROOT.parent / "shared/data/isic2019-subset-400px",
        Path(given[1]) if len(given) > 1 else ROOT / "bundles/default",
        int(given[2]) if len(given) > 2 else 200,
    )
