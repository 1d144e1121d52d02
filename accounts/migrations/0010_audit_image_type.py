"""A new action of the audit log: the kind of a picture was changed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_audit_test_figures")]
    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="action",
            field=models.CharField(
                choices=[
                    ("photo-viewed", "Photo viewed"),
                    ("photo-deleted", "Photo deleted"),
                    ("image-type-changed", "Kind of picture changed"),
                    ("finding-recorded", "Finding recorded"),
                    ("classifier-promoted", "Classifier promoted"),
                    ("classifier-registered", "Classifier registered"),
                    ("test-figures-opened", "Test figures opened"),
                    ("role-changed", "Role changed"),
                    ("account-created", "Account created"),
                    ("account-switched", "Account switched on or off"),
                    ("email-changed", "E-mail address changed"),
                    ("consent-given", "Consent given"),
                    ("consent-withdrawn", "Consent withdrawn"),
                    ("consent-text-published", "Consent text published"),
                    ("account-exported", "Account exported"),
                    ("account-erased", "Account erased"),
                    ("lesion-deleted", "Lesion deleted"),
                    ("review-requested", "Review requested"),
                    ("reading-recorded", "Reading recorded"),
                    ("second-reading-requested", "Second reading requested"),
                    ("share-link-made", "Share link made"),
                    ("share-link-opened", "Share link opened"),
                    ("share-link-revoked", "Share link revoked"),
                    ("list-exported", "Photo list exported"),
                ],
                max_length=40,
                verbose_name="action",
            ),
        ),
    ]
