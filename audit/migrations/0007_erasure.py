from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql"
BEGIN, END = "SET LOCAL ROLE muster_audit;\n", "\nRESET ROLE;"
FORWARD = (SQL / "0007_erasure.sql").read_text()


def _first(name: str, source: str) -> str:
    """A function as it stood before, to be put back."""
    text = (SQL / source).read_text()
    start = text.index(f"CREATE FUNCTION audit.{name}(")
    end = text.index("$body$;", start) + len("$body$;")
    return text[start:end].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)


BACKWARD = f"""
DROP FUNCTION audit.erase_old(text, int, int, text),
    audit.erase_entries(uuid[], text, text, text), audit.erase_key(text, text, text, text),
    audit.lay_aside(text, text), audit.lift_legal_hold(uuid, text, text),
    audit.set_legal_hold(uuid, text, text, date, date, text, text, text);
DROP VIEW audit.held_entry, audit.standing_hold;
DROP TABLE audit.erasure, audit.laid_aside, audit.hold_lifted, audit.legal_hold;
{_first("keep_holder", "0001_functions.sql")}
{_first("refuse_change", "0001_tables.sql")}
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0006_streams")]
    operations = [
        migrations.RunSQL(BEGIN + FORWARD + END, BEGIN + BACKWARD + END),
        migrations.CreateModel(
            name="LegalHold",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("subject", models.TextField()),
                ("agent", models.TextField()),
                ("first", models.DateField(null=True)),
                ("last", models.DateField(null=True)),
                ("ground", models.TextField()),
                ("reason", models.TextField()),
                ("set_by", models.TextField()),
            ],
            options={"db_table": 'audit"."legal_hold', "managed": False},
        ),
        migrations.CreateModel(
            name="HoldLifted",
            fields=[
                ("hold", models.UUIDField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("asked_by", models.TextField()),
                ("agreed_by", models.TextField()),
            ],
            options={"db_table": 'audit"."hold_lifted', "managed": False},
        ),
        migrations.CreateModel(
            name="Erasure",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("cause", models.TextField()),
                ("holder", models.TextField()),
                ("tier", models.TextField(null=True)),
                ("days", models.IntegerField(null=True)),
                ("request", models.TextField()),
                ("asked_by", models.TextField()),
                ("agreed_by", models.TextField()),
            ],
            options={"db_table": 'audit"."erasure', "managed": False},
        ),
    ]
