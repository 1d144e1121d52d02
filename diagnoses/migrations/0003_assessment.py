"""What the decision aid says of a photo: the frozen assessment of a prediction, and what lists sort by.

Predictions made before have none and keep none: they are immutable.
"""

import diagnoses.fields
import django.db.models.expressions
import django.db.models.fields.json
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("diagnoses", "0002_immutable_rows"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="photo",
            name="decision",
            field=diagnoses.fields.DecisionField(default="", verbose_name="decision"),
        ),
        migrations.AddField(
            model_name="prediction",
            name="decision",
            field=diagnoses.fields.DecisionField(default="", verbose_name="decision"),
        ),
        migrations.AddField(
            model_name="prediction",
            name="assessment",
            field=models.JSONField(blank=True, null=True, verbose_name="assessment"),
        ),
        migrations.AddField(
            model_name="prediction",
            name="score",
            field=models.PositiveSmallIntegerField(blank=True, help_text="1 to 10.", null=True, verbose_name="score"),
        ),
        migrations.AddConstraint(
            model_name="photo",
            constraint=models.CheckConstraint(
                condition=models.Q(("decision__in", ["", "urgent", "soon", "monitor", "not_assessed"])),
                name="photo_decision_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="prediction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("assessment__isnull", True), ("decision", ""), ("score__isnull", True)),
                    models.Q(
                        ("assessment__has_key", "decision"),
                        ("decision", django.db.models.fields.json.KeyTextTransform("decision", "assessment")),
                        ("decision__in", ["urgent", "soon", "monitor", "not_assessed"]),
                        ("assessment__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="prediction_assessed_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="prediction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("score__isnull", True),
                    models.Q(
                        ("score__gte", 1), ("score__lte", 10), models.Q(("decision", "not_assessed"), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="prediction_score_one_to_ten",
            ),
        ),
        migrations.AddField(
            model_name="photo",
            name="triage",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Case(
                    models.When(
                        decision="urgent",
                        then=django.db.models.expressions.CombinedExpression(
                            models.Value(6.0), "+", models.F("malignant_score")
                        ),
                    ),
                    models.When(
                        decision="soon",
                        then=django.db.models.expressions.CombinedExpression(
                            models.Value(4.0), "+", models.F("malignant_score")
                        ),
                    ),
                    models.When(decision="monitor", then=models.F("malignant_score")),
                    default=django.db.models.expressions.CombinedExpression(
                        models.Value(2.0), "+", models.F("malignant_score")
                    ),
                ),
                output_field=models.FloatField(null=True),
                verbose_name="triage",
            ),
        ),
        migrations.AddIndex(
            model_name="photo",
            index=models.Index(
                models.OrderBy(models.F("triage"), descending=True, nulls_last=True),
                models.OrderBy(models.F("id"), descending=True),
                name="photo_triage",
            ),
        ),
    ]
