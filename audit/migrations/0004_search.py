from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
BEGIN, END = "SET LOCAL ROLE muster_audit;\n", "\nRESET ROLE;"
FORWARD = (SQL / "0004_search.sql").read_text()
BACKWARD = (SQL / "0004_search_reverse.sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_anchors")]
    operations = [migrations.RunSQL(BEGIN + FORWARD + END, BEGIN + BACKWARD + END)]
