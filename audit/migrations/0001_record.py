from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql"

# The right to make a schema is there for this one transaction.
BEGIN = """
DO $body$ BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO muster_audit', current_database());
END $body$;
SET LOCAL ROLE muster_audit;
"""
END = """
RESET ROLE;
DO $body$ BEGIN
    EXECUTE format('REVOKE CREATE ON DATABASE %I FROM muster_audit', current_database());
END $body$;
"""
FORWARD = "\n".join(
    [
        BEGIN,
        (SQL / "0001_tables.sql").read_text(),
        (SQL / "0001_functions.sql").read_text(),
        (SQL / "0001_grants.sql").read_text(),
        END,
    ]
)
BACKWARD = """
SET LOCAL ROLE muster_audit;
DROP SCHEMA audit CASCADE;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
RESET ROLE;
"""


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.CreateModel(
            name="Mark",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
            ],
            options={"db_table": 'audit"."mark', "managed": False},
        ),
        migrations.CreateModel(
            name="Record",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("xid", models.TextField()),
                ("version", models.SmallIntegerField()),
                ("kind", models.TextField()),
                ("agent", models.TextField()),
                ("user", models.TextField()),
                ("gateway", models.TextField()),
                ("actor", models.TextField()),
                ("tool", models.TextField()),
                ("resource", models.TextField()),
                ("effect", models.TextField()),
                ("deciding_check", models.TextField(db_column="check")),
                ("code", models.TextField()),
                ("tier", models.TextField()),
                ("session", models.TextField()),
                ("parent", models.UUIDField(null=True)),
                ("mode", models.TextField()),
                ("body", models.BinaryField()),
                ("leaf", models.BinaryField()),
            ],
            options={
                "db_table": 'audit"."record',
                "ordering": ["-at", "-id"],
                "managed": False,
            },
        ),
    ]
