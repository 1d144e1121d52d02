"""Predictions and findings are written once: the database itself refuses to change one.

Deleting stays possible: a photo takes its predictions and findings with it when its owner deletes it.
"""

from django.db import migrations

FORWARD = """
CREATE TRIGGER prediction_immutable BEFORE UPDATE ON diagnoses_prediction
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER finding_append_only BEFORE UPDATE ON diagnoses_finding
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
BACKWARD = """
DROP TRIGGER prediction_immutable ON diagnoses_prediction;
DROP TRIGGER finding_append_only ON diagnoses_finding;
"""


class Migration(migrations.Migration):
    dependencies = [("diagnoses", "0001_initial"), ("accounts", "0002_audit_append_only")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
