"""How a run of a sweep ended stands in a column of its own, beside the words for people."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("lifecycle", "0018_named_things")]

    operations = [
        migrations.AddField(
            model_name="sweeprun",
            name="ending",
            field=models.CharField(
                blank=True,
                choices=[
                    ("through", "came through"),
                    ("stopped", "stopped by an error"),
                    ("silent", "ended without a word"),
                ],
                max_length=7,
            ),
            preserve_default=False,
        ),
    ]
