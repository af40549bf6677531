from django.db import migrations, models

import registry.validators


class Migration(migrations.Migration):
    dependencies = [
        ("lifecycle", "0022_bypass"),
    ]

    operations = [
        migrations.AlterField(
            model_name="campaign",
            name="due",
            field=models.DateField(validators=[registry.validators.day]),
        ),
    ]
