"""`priority` alone says how urgent a photo is; `triage`, which said it again together with the score, goes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("diagnoses", "0007_backups_and_attention")]

    operations = [
        migrations.RemoveIndex(model_name="photo", name="photo_triage"),
        migrations.RemoveField(model_name="photo", name="triage"),
        migrations.AddIndex(
            model_name="photo",
            index=models.Index(
                models.OrderBy(models.F("priority"), descending=True),
                models.OrderBy(models.F("malignant_score"), descending=True, nulls_last=True),
                models.OrderBy(models.F("id"), descending=True),
                name="photo_urgent",
            ),
        ),
    ]
