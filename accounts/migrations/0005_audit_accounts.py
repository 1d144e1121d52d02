from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_training_consent"),
    ]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="action",
            field=models.CharField(
                choices=[
                    ("photo-viewed", "Photo viewed"),
                    ("photo-deleted", "Photo deleted"),
                    ("finding-recorded", "Finding recorded"),
                    ("classifier-promoted", "Classifier promoted"),
                    ("classifier-registered", "Classifier registered"),
                    ("role-changed", "Role changed"),
                    ("account-created", "Account created"),
                    ("account-switched", "Account switched on or off"),
                    ("email-changed", "E-mail address changed"),
                ],
                max_length=40,
                verbose_name="action",
            ),
        ),
    ]
