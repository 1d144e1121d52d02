"""Openings of test figures, and how an evaluation keeps its predictions: those of before have no decisions."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER testopening_immutable BEFORE UPDATE ON training_testopening
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
BACKWARD = "DROP TRIGGER testopening_immutable ON training_testopening;"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_audit_test_figures"),
        ("training", "0007_import_layouts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # The default of the column fills the rows that are there; it is no update, so no trigger refuses it.
        migrations.AddField(
            model_name="evaluation",
            name="predictions_format",
            field=models.PositiveSmallIntegerField(default=1, editable=False),
        ),
        migrations.AlterField(
            model_name="evaluation",
            name="predictions_format",
            field=models.PositiveSmallIntegerField(default=2, editable=False),
        ),
        migrations.RemoveConstraint(model_name="evaluation", name="evaluation_once"),
        migrations.AddConstraint(
            model_name="evaluation",
            constraint=models.UniqueConstraint(
                fields=("classifier", "fingerprint", "predictions_format"), name="evaluation_once"
            ),
        ),
        migrations.CreateModel(
            name="TestOpening",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=500, verbose_name="reason")),
                (
                    "created",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="opened"),
                ),
                (
                    "evaluation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="opening",
                        to="training.evaluation",
                    ),
                ),
                (
                    "opened_by",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty when it was opened from the shell.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="opened by",
                    ),
                ),
            ],
            options={
                "verbose_name": "opening of test figures",
                "verbose_name_plural": "openings of test figures",
                "ordering": ["-created", "-pk"],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
