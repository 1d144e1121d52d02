"""Imported pictures become similar cases: small copies from the archive; an interruption loses nothing."""

from pathlib import Path

import pytest
from django.core.management import call_command

from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import KnownImage
from diagnoses.similar.models import FeatureIndex, FeatureVector, ReferencePicture
from tests.factories import write_dataset
from training.data.importing import ImportSource, import_dataset
from training.data.references import keep_reference_pictures
from training.models import Dataset
from training.services.datasets import delete_dataset


@pytest.fixture
def dataset(db: None, tmp_path: Path) -> Dataset:
    folder = write_dataset(tmp_path / "data", per_diagnosis=8)
    (truth,) = folder.glob("*GroundTruth.csv")
    (metadata,) = folder.glob("*Metadata.csv")
    (images,) = folder.glob("*_Input.zip")
    return import_dataset(name="Made", source=ImportSource(ground_truth=truth, metadata=metadata, images=images))


def test_an_import_keeps_its_pictures_small(dataset: Dataset) -> None:
    assert ReferencePicture.objects.count() == dataset.examples.values("sha256").distinct().count() > 0
    lesions = dict(KnownImage.objects.values_list("image", "lesion"))
    assert lesions == dict(dataset.examples.values_list("image", "lesion_id"))
    ReferencePicture.objects.filter(pk__in=ReferencePicture.objects.values("pk")[:5]).delete()
    assert keep_reference_pictures(dataset) == 5
    assert keep_reference_pictures(dataset) == 0


def test_the_command_brings_everything_up_to_date(
    dataset: Dataset, tiny_classifier: Classifier, capsys: pytest.CaptureFixture[str]
) -> None:
    ReferencePicture.objects.all().delete()
    call_command("index_similar_cases")
    count = ReferencePicture.objects.count()
    assert FeatureVector.objects.filter(classifier=tiny_classifier).count() == count > 0
    index = FeatureIndex.objects.get(classifier=tiny_classifier)
    assert (index.cases, index.waiting) == (count, 0)
    assert index.median_similarity is not None
    assert f"{count} confirmed cases can be found" in capsys.readouterr().out
    delete_dataset(dataset=dataset, by=None)
    call_command("index_similar_cases")
    assert not ReferencePicture.objects.exists() and not FeatureVector.objects.exists()
