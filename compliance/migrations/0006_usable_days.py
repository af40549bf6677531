from django.db import migrations, models

import registry.validators


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0005_subjects"),
    ]

    operations = [
        migrations.AlterField(
            model_name="subjectrequest",
            name="received",
            field=models.DateField(validators=[registry.validators.day]),
        ),
    ]
