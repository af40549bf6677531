import django.db.models.functions.datetime
from django.db import migrations, models

# A web process that somebody took over must not be able to have the record pass a SIEM by.
FORWARD = "REVOKE INSERT, UPDATE, DELETE ON audit_stream FROM muster_web, muster_beat"
BACKWARD = "GRANT INSERT, UPDATE, DELETE ON audit_stream TO muster_web, muster_beat"
NOW = django.db.models.functions.datetime.Now()


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_search")]
    operations = [
        migrations.CreateModel(
            name="Stream",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(default=0)),
                ("began_at", models.DateTimeField(db_default=NOW)),
                ("sent_at", models.DateTimeField(null=True)),
                ("level_at", models.DateTimeField(null=True)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("failed_at", models.DateTimeField(null=True)),
                ("error", models.CharField(blank=True, default="", max_length=500)),
                ("next_at", models.DateTimeField(db_default=NOW)),
                ("claim", models.UUIDField(null=True)),
                ("claimed_until", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
