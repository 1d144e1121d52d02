"""A reading is written step by step, each step once; photos with a finding count as read.

The blind answer stands once the prediction was revealed, and the whole row once the final answer was recorded.
"""

from typing import Any

from django.db import migrations

FORWARD = """
CREATE FUNCTION refuse_changed_reading() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.recorded IS NOT NULL
        OR OLD.photo_id <> NEW.photo_id OR OLD.reader_id <> NEW.reader_id
        OR OLD.revealed IS NOT NULL AND (
            OLD.revealed IS DISTINCT FROM NEW.revealed OR OLD.blind_answer <> NEW.blind_answer
            OR OLD.blind_diagnosis <> NEW.blind_diagnosis OR OLD.prediction_id IS DISTINCT FROM NEW.prediction_id)
    THEN
        RAISE EXCEPTION '% of % is refused: what was answered stays', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER reading_written_once BEFORE UPDATE ON diagnoses_reading
    FOR EACH ROW EXECUTE FUNCTION refuse_changed_reading();
"""
BACKWARD = """
DROP TRIGGER reading_written_once ON diagnoses_reading;
DROP FUNCTION refuse_changed_reading();
"""


def count_as_read(apps: Any, schema_editor: Any) -> None:
    photos = apps.get_model("diagnoses", "Photo").objects
    photos.filter(findings__isnull=False).update(review_state="read")


class Migration(migrations.Migration):
    # The data below wait for their own transaction: a table with pending triggers cannot be altered in the same one.
    dependencies = [("diagnoses", "0005_record_readings_sharing")]
    operations = [
        migrations.RunPython(count_as_read, migrations.RunPython.noop, elidable=True),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
