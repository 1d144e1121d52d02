"""`manage.py index_similar_cases`: bring the search for similar cases up to date now, instead of in the background.

Inference workers do the indexing in the background when no photo waits. If this command is interrupted, the next one or
a worker goes on from there.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from diagnoses.classifiers.models import Classifier
from diagnoses.photos.worker import NoLiveClassifier, load
from diagnoses.similar.indexing import Indexer
from diagnoses.similar.models import FeatureIndex
from diagnoses.similar.references import without_reference
from training.data.references import keep_reference_pictures
from training.models import Dataset


class Command(BaseCommand):
    help = "Keep the pictures of imported data sets small, and give every picture its place for the live classifier."

    def handle(self, *args: Any, **options: Any) -> None:
        for dataset in Dataset.objects.filter(has_images=True).order_by("pk"):
            total = len(without_reference(dataset=dataset.name))
            with tqdm(total=total, unit="picture", desc=dataset.name, disable=None if total else True) as bar:
                kept = keep_reference_pictures(dataset, progress=bar.update)
            if kept:
                self.stdout.write(f"{kept} pictures of {dataset} were kept small.")
        live = Classifier.objects.live()
        if live is None:
            raise CommandError("No classifier is live: there is nothing to index for.")
        try:
            loaded = load(live)
        except NoLiveClassifier as error:
            raise CommandError(str(error)) from error
        indexer = Indexer()
        with tqdm(total=indexer.waiting(live), unit="picture", desc=live.version, disable=None) as bar:
            indexer.work(classifier=live, loaded=loaded, should_stop=lambda: False, progress=bar.update)
        index = FeatureIndex.objects.get(classifier=live)
        self.stdout.write(f"{index.cases} confirmed cases can be found with {live}.")
