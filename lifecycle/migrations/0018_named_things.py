"""What a test's attacks named is kept with it: it stands only while that is as it was."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("lifecycle", "0017_one_mapping")]

    operations = [
        migrations.AddField(
            model_name="proberun",
            name="things",
            field=models.JSONField(
                help_text="Resources that the attacks named, by kind and id; nothing for all",
                null=True,
            ),
        ),
    ]
