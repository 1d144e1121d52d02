"""A reported history can be told again: its rows are written once, and the photo points at the newest.

Histories so far count as told with the upload. There is no way back, because a photo may have several now.
"""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

FILL = """
UPDATE diagnoses_photohistory AS history SET created = photo.created
  FROM diagnoses_photo AS photo WHERE photo.id = history.photo_id;
UPDATE diagnoses_photo AS photo SET history_id = history.id
  FROM diagnoses_photohistory AS history WHERE history.photo_id = photo.id;
SET CONSTRAINTS ALL IMMEDIATE;
CREATE TRIGGER photohistory_immutable BEFORE UPDATE ON diagnoses_photohistory
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("diagnoses", "0010_photo_assessments")]

    operations = [
        migrations.AlterModelOptions(
            name="photohistory",
            options={
                "ordering": ["-created", "-id"],
                "verbose_name": "history of a spot",
                "verbose_name_plural": "histories of spots",
            },
        ),
        migrations.AlterField(
            model_name="photohistory",
            name="photo",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="histories", to="diagnoses.photo"
            ),
        ),
        migrations.AddField(
            model_name="photohistory",
            name="created",
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="told"),
        ),
        migrations.AddField(
            model_name="photohistory",
            name="pain",
            field=models.BooleanField(blank=True, null=True, verbose_name="hurts"),
        ),
        migrations.AddField(
            model_name="photo",
            name="history",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="current_of",
                to="diagnoses.photohistory",
            ),
        ),
        migrations.RunSQL(FILL),
    ]
