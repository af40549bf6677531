"""Say of the runs in the log how they ended, as their words tell it; from here on, each says so."""

from django.db import migrations, models

FILL = """
    UPDATE lifecycle_sweeprun SET ending = CASE
        WHEN failure = 'It ended without a word: its worker was stopped.' THEN 'silent'
        WHEN failure LIKE 'stopped by %' THEN 'stopped'
        ELSE 'through'
    END
    WHERE ended_at IS NOT NULL AND ending = ''
"""


class Migration(migrations.Migration):
    dependencies = [("lifecycle", "0019_how_a_run_ended")]

    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="sweeprun",
            constraint=models.CheckConstraint(
                condition=models.Q(("ended_at__isnull", True), ("ending", ""))
                | models.Q(
                    ("ended_at__isnull", False),
                    ("ending__in", ["through", "stopped", "silent"]),
                ),
                name="sweep_says_how_it_ended",
            ),
        ),
    ]
