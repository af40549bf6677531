"""Of an agent each day is renewed once; an answer that it ends may be taken back before that."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("lifecycle", "0015_break_glass"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="attestation", name="attestation_once_per_day"),
        migrations.AddConstraint(
            model_name="attestation",
            constraint=models.UniqueConstraint(
                condition=models.Q(("answer", "renewed")),
                fields=("agent", "due_on"),
                name="attestation_renewed_once_per_day",
            ),
        ),
    ]
