"""Similar confirmed cases: reference pictures, feature vectors, the state of each index; and alarms of a classifier.

pgvector is switched on where the server has it and the application may do so; without it nothing is missing but speed
(diagnoses.similar.search).
"""

from typing import Any

import diagnoses.similar.models
import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


def switch_pgvector_on(apps: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        (may,) = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
        (there,) = cursor.fetchone()
        if may and there:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")


class Migration(migrations.Migration):
    dependencies = [
        ("diagnoses", "0003_assessment"),
    ]

    operations = [
        # It stays when the migration is undone: something else in the database may use it by then.
        migrations.RunPython(switch_pgvector_on, migrations.RunPython.noop),
        migrations.CreateModel(
            name="ClassifierAlarm",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=40, verbose_name="what")),
                ("detail", models.JSONField(default=dict, verbose_name="figures")),
                (
                    "raised",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="raised"),
                ),
                ("cleared", models.DateTimeField(blank=True, null=True, verbose_name="cleared")),
            ],
            options={
                "verbose_name": "alarm",
                "verbose_name_plural": "alarms",
                "ordering": ["-raised", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="FeatureIndex",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("cases", models.PositiveIntegerField(default=0, verbose_name="confirmed cases")),
                ("waiting", models.PositiveIntegerField(default=0, verbose_name="pictures waiting")),
                ("median_similarity", models.FloatField(null=True, verbose_name="usual similarity")),
                ("low_similarity", models.FloatField(null=True, verbose_name="low similarity")),
                ("updated", models.DateTimeField(default=django.utils.timezone.now, verbose_name="last worked on")),
            ],
            options={
                "verbose_name": "index of similar cases",
                "verbose_name_plural": "indexes of similar cases",
                "ordering": ["-updated"],
            },
        ),
        migrations.CreateModel(
            name="FeatureVector",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "values",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=diagnoses.similar.models.RealField(), size=128
                    ),
                ),
            ],
            options={
                "verbose_name": "feature vector",
                "verbose_name_plural": "feature vectors",
            },
        ),
        migrations.CreateModel(
            name="ReferencePicture",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("original_sha256", models.CharField(max_length=64, unique=True, verbose_name="SHA-256 of the file")),
                ("jpeg", models.BinaryField(verbose_name="picture")),
                ("width", models.PositiveSmallIntegerField(verbose_name="width in pixels")),
                ("height", models.PositiveSmallIntegerField(verbose_name="height in pixels")),
            ],
            options={
                "verbose_name": "reference picture",
                "verbose_name_plural": "reference pictures",
            },
        ),
        migrations.AddField(
            model_name="erasedfile",
            name="due",
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="due"),
        ),
        migrations.AddField(
            model_name="knownimage",
            name="lesion",
            field=models.CharField(
                blank=True, help_text="Its name in the data set.", max_length=100, verbose_name="lesion"
            ),
        ),
        migrations.AddIndex(
            model_name="prediction",
            index=models.Index(fields=["classifier", "-created"], name="prediction_newest"),
        ),
        migrations.AddField(
            model_name="classifieralarm",
            name="classifier",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="alarms", to="diagnoses.classifier"
            ),
        ),
        migrations.AddField(
            model_name="featureindex",
            name="classifier",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, related_name="feature_index", to="diagnoses.classifier"
            ),
        ),
        migrations.AddField(
            model_name="featurevector",
            name="classifier",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="diagnoses.classifier"
            ),
        ),
        migrations.AddField(
            model_name="featurevector",
            name="photo",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.CASCADE, related_name="vectors", to="diagnoses.photo"
            ),
        ),
        migrations.AddField(
            model_name="featurevector",
            name="reference",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="vectors",
                to="diagnoses.referencepicture",
            ),
        ),
        migrations.AddConstraint(
            model_name="classifieralarm",
            constraint=models.UniqueConstraint(
                condition=models.Q(("cleared__isnull", True)), fields=("classifier",), name="alarm_one_a_classifier"
            ),
        ),
        migrations.AddConstraint(
            model_name="featurevector",
            constraint=models.UniqueConstraint(fields=("classifier", "photo"), name="vector_once_a_photo"),
        ),
        migrations.AddConstraint(
            model_name="featurevector",
            constraint=models.UniqueConstraint(fields=("classifier", "reference"), name="vector_once_a_reference"),
        ),
        migrations.AddConstraint(
            model_name="featurevector",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("photo__isnull", True), ("reference__isnull", False)),
                    models.Q(("photo__isnull", False), ("reference__isnull", True)),
                    _connector="OR",
                ),
                name="vector_of_one_picture",
            ),
        ),
        migrations.AddConstraint(
            model_name="featurevector",
            constraint=models.CheckConstraint(condition=models.Q(("values__len", 128)), name="vector_whole"),
        ),
    ]
