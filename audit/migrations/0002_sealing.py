from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql"
BEGIN, END = "SET LOCAL ROLE muster_audit;\n", "\nRESET ROLE;"
_FIRST = (SQL / "0001_functions.sql").read_text()
_APPEND = _FIRST[
    _FIRST.index("CREATE FUNCTION audit.append(") : _FIRST.index("CREATE FUNCTION audit.keep_hold")
].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
FORWARD = BEGIN + (SQL / "0002_sealing.sql").read_text() + (SQL / "0002_append.sql").read_text()
BACKWARD = BEGIN + (SQL / "0002_sealing_reverse.sql").read_text() + _APPEND


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_record")]
    operations = [
        migrations.RunSQL(FORWARD + END, BACKWARD + END),
        migrations.CreateModel(
            name="Alarm",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("cause", models.TextField()),
                ("detail", models.JSONField()),
            ],
            options={"db_table": 'audit"."alarm', "managed": False},
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                ("root", models.BinaryField()),
                ("at", models.DateTimeField()),
                ("note", models.TextField()),
                ("seen", models.TextField(null=True)),
                ("system", models.BigIntegerField()),
            ],
            options={"db_table": 'audit"."checkpoint', "managed": False},
        ),
        migrations.CreateModel(
            name="Leaf",
            fields=[
                ("index", models.BigIntegerField(primary_key=True, serialize=False)),
                ("record", models.UUIDField()),
                ("at", models.DateTimeField()),
                ("leaf", models.BinaryField()),
            ],
            options={"db_table": 'audit"."leaf_index', "managed": False},
        ),
        migrations.CreateModel(
            name="SealingKey",
            fields=[
                ("vkey", models.TextField(primary_key=True, serialize=False)),
                ("kind", models.TextField()),
                ("at", models.DateTimeField()),
                ("certificate", models.TextField()),
            ],
            options={"db_table": 'audit"."sealing_key', "managed": False},
        ),
    ]
