"""When an e-mail about a notification was last tried: pauses between attempts grow, and two workers send nothing twice."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_consent_texts_stay")]
    operations = [
        migrations.AddField(
            model_name="notification",
            name="email_tried",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
