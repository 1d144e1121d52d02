"""Migrations of this app that change existing rows."""

import importlib

import pytest
from django.apps import apps
from django.db import InternalError, connection, transaction
from django.db.utils import DatabaseError

from tests.training.run_factories import made_dataset
from tests.training.test_evaluation import classifier_named, evaluate_made
from training.models import Dataset, DatasetImport, Evaluation

pytestmark = pytest.mark.django_db


def test_test_splits_and_evaluations_of_before_are_named_by_content() -> None:
    migration = importlib.import_module("training.migrations.0005_fill_test_content")
    dataset = made_dataset()
    evaluation = evaluate_made(classifier_named("one"), dataset)
    before = DatasetImport.objects.create(name="before")
    Dataset.objects.update(test_content_fingerprint="")
    with connection.cursor() as cursor:
        # Rows of the same transaction have deferred constraint checks; older rows have none.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(migration.UNLOCK + migration.NAME_BY_NAMES + migration.LOCK)
        assert Evaluation.objects.get().fingerprint == dataset.test_fingerprint
        migration.fill(apps, None)
        cursor.execute(migration.UNLOCK)
        cursor.execute(migration.NAME_BY_CONTENT)
        cursor.execute(migration.LOCK)
    assert Dataset.objects.get().test_content_fingerprint == dataset.test_content_fingerprint
    assert Evaluation.objects.get().fingerprint == evaluation.fingerprint == dataset.test_content_fingerprint
    before.refresh_from_db()
    assert not before.near_together
    # The trigger forbids changes again.
    with pytest.raises((InternalError, DatabaseError)), transaction.atomic():
        Evaluation.objects.update(fingerprint="0" * 64)
