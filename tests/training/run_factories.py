"""Sealed data sets for the tests of runs: rows and one archive, made without an import."""

import hashlib
import io
import zipfile

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from recognition.datasets.splits import SPLITS, split_fingerprint
from recognition.taxonomy import CODES, SEXES, SITES
from tests.factories import jpeg_bytes, made_picture
from training.models import Dataset, Example, ImageArchive

# The splits of every ten pictures of a diagnosis: enough in each split for the figures.
DEALT = ("train",) * 5 + ("validation", "calibration", "calibration", "test", "test")


def made_dataset(name: str = "made", *, per_diagnosis: int = 20, seed: int = 0) -> Dataset:
    """Eight kinds of spots that a tiny network can tell apart, dealt into the four splits."""
    import pandas as pd

    content, examples = io.BytesIO(), []
    with zipfile.ZipFile(content, "w") as archive:
        for position, code in enumerate(CODES):
            for number in range(per_diagnosis):
                image = f"{name.upper()}_{position}{number:04d}"
                data = jpeg_bytes(made_picture(code, seed + number, size=(80, 60)))
                archive.writestr(f"{image}.jpg", data)
                examples.append(
                    Example(
                        image=image,
                        diagnosis=code,
                        lesion_id=f"L{image}",
                        age_approx=5.0 * (number % 18),
                        sex=SEXES[number % 2],
                        anatom_site_general=SITES[number % len(SITES)],
                        split=DEALT[number % len(DEALT)],
                        member=f"{image}.jpg",
                        sha256=hashlib.sha256(data).hexdigest(),
                        content_hash=hashlib.sha256(data).digest(),
                        width=80,
                        height=60,
                    )
                )
    stored = default_storage.save(f"datasets/{name}-{seed}/images.zip", ContentFile(content.getvalue()))
    row = ImageArchive.objects.create(
        name=stored, sha256=hashlib.sha256(content.getvalue()).hexdigest(), size=len(content.getvalue())
    )
    assignment = pd.Series({example.image: example.split for example in examples})
    assert set(assignment) == set(SPLITS)
    lines = sorted(f"{each.image},{each.diagnosis},{each.sha256}\n" for each in examples)
    dataset = Dataset.objects.create(
        name=name,
        fingerprint=hashlib.sha256("".join(lines).encode()).hexdigest(),
        split_fingerprint=split_fingerprint(assignment),
        test_fingerprint=split_fingerprint(assignment[assignment == "test"]),
        test_content_fingerprint=hashlib.sha256(
            "".join(sorted(f"{e.image},{e.diagnosis},{e.sha256}\n" for e in examples if e.split == "test")).encode()
        ).hexdigest(),
        split_seed=1,
        has_images=True,
        example_count=len(examples),
    )
    for example in examples:
        example.dataset, example.archive = dataset, row
    Example.objects.bulk_create(examples)
    return dataset
