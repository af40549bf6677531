from pathlib import Path

from django.db import migrations, models

BEGIN, END = "SET LOCAL ROLE muster_audit;\n", "\nRESET ROLE;"
FORWARD = (Path(__file__).parent / "sql" / "0003_anchors.sql").read_text()
BACKWARD = """
DROP FUNCTION audit.note_anchored(bigint, text, text, boolean, jsonb);
DROP TABLE audit.anchored;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_sealing")]
    operations = [
        migrations.RunSQL(BEGIN + FORWARD + END, BEGIN + BACKWARD + END),
        migrations.CreateModel(
            name="Anchored",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("size", models.BigIntegerField()),
                ("root", models.BinaryField()),
                ("kind", models.TextField()),
                ("name", models.TextField()),
                ("outside", models.BooleanField()),
                ("at", models.DateTimeField()),
                ("receipt", models.JSONField()),
            ],
            options={"db_table": 'audit"."anchored', "managed": False},
        ),
    ]
