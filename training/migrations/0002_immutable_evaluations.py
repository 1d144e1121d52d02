"""An evaluation is written once: the database itself refuses to change one."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER evaluation_immutable BEFORE UPDATE ON training_evaluation
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
BACKWARD = "DROP TRIGGER evaluation_immutable ON training_evaluation;"


class Migration(migrations.Migration):
    dependencies = [("training", "0001_initial"), ("accounts", "0002_audit_append_only")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
