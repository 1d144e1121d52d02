"""Names, labels and pixels of every test split that is there already, and evaluations compared by them.

Evaluations are immutable to everybody but this migration: what they say stays, only the name of the test images that
they were measured on becomes the fuller one.
"""

import hashlib
from typing import Any

from django.db import migrations

UNLOCK = "ALTER TABLE training_evaluation DISABLE TRIGGER evaluation_immutable;"
LOCK = "ALTER TABLE training_evaluation ENABLE TRIGGER evaluation_immutable;"


def fill(apps: Any, schema_editor: Any) -> None:
    dataset_model = apps.get_model("training", "Dataset")
    examples = apps.get_model("training", "Example").objects
    for pk in dataset_model.objects.values_list("pk", flat=True):
        rows = examples.filter(dataset_id=pk, split="test").values_list("image", "diagnosis", "sha256")
        lines = sorted(f"{image},{diagnosis},{digest}\n" for image, diagnosis, digest in rows)
        content = hashlib.sha256("".join(lines).encode()).hexdigest()
        dataset_model.objects.filter(pk=pk).update(test_content_fingerprint=content)
    # Imports so far dealt by lesion ids alone.
    apps.get_model("training", "DatasetImport").objects.update(near_together=False)


NAME_BY_CONTENT = """
UPDATE training_evaluation SET fingerprint = training_dataset.test_content_fingerprint
    FROM training_dataset WHERE training_dataset.id = training_evaluation.dataset_id;
"""
NAME_BY_NAMES = """
UPDATE training_evaluation SET fingerprint = training_dataset.test_fingerprint
    FROM training_dataset WHERE training_dataset.id = training_evaluation.dataset_id;
"""


class Migration(migrations.Migration):
    dependencies = [("training", "0004_evaluation_jobs")]
    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunSQL(UNLOCK, LOCK),
        migrations.RunSQL(NAME_BY_CONTENT, NAME_BY_NAMES),
        migrations.RunSQL(LOCK, UNLOCK),
    ]
