"""What a prediction says of a photo moves to assessments: one for each prediction so far, more when more is told.

The assessment of an older prediction takes its id. So what photos, readings and findings refer to stays as it is: their
column is renamed and refers to the other table. There is no way back, because assessments are written once.
"""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.fields.json
import django.utils.timezone
from django.db import migrations, models

import diagnoses.fields

# The deferred checks of the new rows would keep the tables from being altered further on in this transaction.
COPY = """
INSERT INTO diagnoses_photoassessment (id, photo_id, prediction_id, image_type, image_type_source, contradicted,
    probabilities, diagnosis, confidence, malignant_score, decision, picture_decision, score, assessment, metadata,
    used, created)
SELECT id, photo_id, id, '', '', false, probabilities, diagnosis, confidence, malignant_score, decision, '', score,
    assessment, '{}', '{}', created
  FROM diagnoses_prediction;
SET CONSTRAINTS ALL IMMEDIATE;
"""

TRIGGER = """
CREATE TRIGGER photoassessment_immutable BEFORE UPDATE ON diagnoses_photoassessment
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""

# The function of 0006 with the renamed column.
READINGS = """
CREATE OR REPLACE FUNCTION refuse_changed_reading() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.recorded IS NOT NULL
        OR OLD.photo_id <> NEW.photo_id OR OLD.reader_id <> NEW.reader_id
        OR OLD.revealed IS NOT NULL AND (
            OLD.revealed IS DISTINCT FROM NEW.revealed OR OLD.blind_answer <> NEW.blind_answer
            OR OLD.blind_diagnosis <> NEW.blind_diagnosis OR OLD.assessment_id IS DISTINCT FROM NEW.assessment_id)
    THEN
        RAISE EXCEPTION '% of % is refused: what was answered stays', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""


def referring(model: str, **more: object) -> list[migrations.operations.base.Operation]:
    """`prediction` of this model becomes `assessment`."""
    kind = models.OneToOneField if model == "photo" else models.ForeignKey
    field = kind(blank=True, null=True, to="diagnoses.photoassessment", **more)
    return [
        migrations.RenameField(model_name=model, old_name="prediction", new_name="assessment"),
        migrations.AlterField(model_name=model, name="assessment", field=field),
    ]


class Migration(migrations.Migration):
    dependencies = [("diagnoses", "0009_photo_image_type")]

    operations = [
        migrations.CreateModel(
            name="PhotoAssessment",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "image_type",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("dermoscopic", "through a dermatoscope"),
                            ("clinical: close-up", "with a phone or a camera"),
                        ],
                        max_length=40,
                        verbose_name="kind of picture",
                    ),
                ),
                (
                    "image_type_source",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("told", "told"),
                            ("recognised", "recognised from the picture"),
                            ("assumed", "assumed: the classifier knows one kind only"),
                        ],
                        max_length=10,
                        verbose_name="how the kind is known",
                    ),
                ),
                ("contradicted", models.BooleanField(default=False, verbose_name="kind contradicted by the picture")),
                ("case_mix", models.JSONField(blank=True, null=True, verbose_name="case mix")),
                (
                    "probabilities",
                    django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=8),
                ),
                (
                    "picture_alone",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.FloatField(), blank=True, null=True, size=8
                    ),
                ),
                ("diagnosis", diagnoses.fields.DiagnosisField(verbose_name="top diagnosis")),
                ("confidence", models.FloatField(verbose_name="confidence")),
                (
                    "malignant_score",
                    models.FloatField(
                        help_text="Sum of the probabilities of the cancers.", verbose_name="malignant score"
                    ),
                ),
                ("decision", diagnoses.fields.DecisionField(default="", verbose_name="decision")),
                (
                    "picture_decision",
                    diagnoses.fields.DecisionField(default="", verbose_name="decision by the picture alone"),
                ),
                (
                    "score",
                    models.PositiveSmallIntegerField(blank=True, help_text="1 to 10.", null=True, verbose_name="score"),
                ),
                ("assessment", models.JSONField(blank=True, null=True, verbose_name="assessment")),
                ("metadata", models.JSONField(blank=True, default=dict, verbose_name="what was known")),
                (
                    "used",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=30),
                        blank=True,
                        default=list,
                        size=None,
                        verbose_name="what counted",
                    ),
                ),
                (
                    "created",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
                (
                    "photo",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="assessments", to="diagnoses.photo"
                    ),
                ),
                (
                    "prediction",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="assessments",
                        to="diagnoses.prediction",
                    ),
                ),
            ],
            options={
                "verbose_name": "assessment",
                "verbose_name_plural": "assessments",
                "ordering": ["-created", "-id"],
            },
        ),
        migrations.AddConstraint(
            model_name="photoassessment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("confidence__gte", 0),
                    ("confidence__lte", 1),
                    ("malignant_score__gte", 0),
                    ("malignant_score__lte", 1),
                ),
                name="assessment_scores_are_shares",
            ),
        ),
        migrations.AddConstraint(
            model_name="photoassessment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("probabilities__len", 8),
                    models.Q(("picture_alone__isnull", True), ("picture_alone__len", 8), _connector="OR"),
                ),
                name="assessment_eight_probabilities",
            ),
        ),
        migrations.AddConstraint(
            model_name="photoassessment",
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
                name="assessment_assessed_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="photoassessment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("score__isnull", True),
                    models.Q(
                        ("score__gte", 1), ("score__lte", 10), models.Q(("decision", "not_assessed"), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="assessment_score_one_to_ten",
            ),
        ),
        migrations.AddConstraint(
            model_name="photoassessment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("case_mix__isnull", True),
                        ("contradicted", False),
                        ("image_type", ""),
                        ("image_type_source", ""),
                        ("picture_alone__isnull", True),
                        ("picture_decision", ""),
                    ),
                    models.Q(
                        ("case_mix__isnull", False),
                        ("image_type_source__in", ["told", "recognised", "assumed"]),
                        ("picture_alone__isnull", False),
                        ("picture_decision__in", ["urgent", "soon", "monitor", "not_assessed"]),
                        models.Q(("image_type", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="assessment_kind_whole",
            ),
        ),
        migrations.RunSQL(COPY),
        *referring("photo", related_name="current_of", on_delete=django.db.models.deletion.SET_NULL),
        *referring("reading", related_name="+", on_delete=django.db.models.deletion.CASCADE),
        *referring("finding", related_name="+", on_delete=django.db.models.deletion.CASCADE),
        migrations.RunSQL(READINGS + TRIGGER),
        migrations.RemoveConstraint(model_name="prediction", name="prediction_scores_are_shares"),
        migrations.RemoveConstraint(model_name="prediction", name="prediction_eight_probabilities"),
        migrations.RemoveConstraint(model_name="prediction", name="prediction_assessed_whole"),
        migrations.RemoveConstraint(model_name="prediction", name="prediction_score_one_to_ten"),
        migrations.RemoveField(model_name="prediction", name="assessment"),
        migrations.RemoveField(model_name="prediction", name="confidence"),
        migrations.RemoveField(model_name="prediction", name="decision"),
        migrations.RemoveField(model_name="prediction", name="diagnosis"),
        migrations.RemoveField(model_name="prediction", name="malignant_score"),
        migrations.RemoveField(model_name="prediction", name="probabilities"),
        migrations.RemoveField(model_name="prediction", name="score"),
        migrations.AddField(
            model_name="prediction",
            name="outputs",
            field=models.JSONField(blank=True, null=True, verbose_name="outputs of the network"),
        ),
    ]
