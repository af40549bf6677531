from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("authz", "0002_initial"), ("registry", "0002_slices")]

    operations = [
        migrations.RunSQL(
            (SQL / "0003_slices.sql").read_text(), (SQL / "0003_slices_reverse.sql").read_text()
        ),
    ]
