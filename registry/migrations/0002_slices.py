from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_initial")]

    operations = [
        migrations.RunSQL(
            (SQL / "0002_slices.sql").read_text(), (SQL / "0002_slices_reverse.sql").read_text()
        ),
    ]
