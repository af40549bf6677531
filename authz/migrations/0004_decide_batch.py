from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql" / "0004_decide_batch.sql"


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_record"),
        ("registry", "0002_slices"),
        ("authz", "0003_slices"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReportedOutcome",
            fields=[
                ("decision", models.UUIDField(primary_key=True, serialize=False)),
                ("record", models.UUIDField(unique=True)),
                ("at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.RunSQL(SQL.read_text(), "DROP SCHEMA authz CASCADE"),
    ]
