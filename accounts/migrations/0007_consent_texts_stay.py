"""People agreed to a consent text as it is: the database itself refuses to change or delete one."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER consent_text_stays BEFORE UPDATE OF purpose, version, text_kk, text_ru, text_en, published OR DELETE
    ON accounts_consenttext FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
BACKWARD = "DROP TRIGGER consent_text_stays ON accounts_consenttext;"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_consent_profile_notifications")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
