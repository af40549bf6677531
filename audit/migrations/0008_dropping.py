from pathlib import Path

from django.db import migrations, models

BEGIN, END = "SET LOCAL ROLE muster_audit;\n", "\nRESET ROLE;"
FORWARD = (Path(__file__).parent / "sql" / "0008_dropping.sql").read_text()
BACKWARD = """
DROP FUNCTION audit.drop_month(bigint, uuid), audit.order_drop(date, int, text, text),
    audit.is_over(date, int);
DROP TABLE audit.dropped, audit.drop_order;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0007_erasure")]
    operations = [
        migrations.RunSQL(BEGIN + FORWARD + END, BEGIN + BACKWARD + END),
        migrations.CreateModel(
            name="DropOrder",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("month", models.DateField()),
                ("months", models.IntegerField()),
                ("asked_by", models.TextField()),
                ("agreed_by", models.TextField()),
            ],
            options={"db_table": 'audit"."drop_order', "managed": False},
        ),
        migrations.CreateModel(
            name="Dropped",
            fields=[
                ("order", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("month", models.DateField()),
                ("record", models.UUIDField()),
                ("first", models.BigIntegerField()),
                ("last", models.BigIntegerField()),
                ("entries", models.BigIntegerField()),
                ("export", models.BinaryField()),
            ],
            options={"db_table": 'audit"."dropped', "managed": False},
        ),
    ]
