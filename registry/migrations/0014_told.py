"""What a source of people said of someone, so that no hand changes it and no other undoes it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0013_sign_in"),
    ]

    operations = [
        migrations.AddField(
            model_name="externalidentity",
            name="gives",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="externalidentity",
            name="said_gone",
            field=models.BooleanField(default=False),
        ),
    ]
