from django.db import migrations, models

import registry.validators


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0018_devices"),
    ]

    operations = [
        migrations.AlterField(
            model_name="absence",
            name="first_day",
            field=models.DateField(validators=[registry.validators.day]),
        ),
        migrations.AlterField(
            model_name="absence",
            name="last_day",
            field=models.DateField(validators=[registry.validators.day]),
        ),
        migrations.AlterField(
            model_name="agreement",
            name="expires_on",
            field=models.DateField(blank=True, null=True, validators=[registry.validators.day]),
        ),
        migrations.AlterField(
            model_name="agreement",
            name="signed_on",
            field=models.DateField(validators=[registry.validators.day]),
        ),
        migrations.AlterField(
            model_name="credentialreference",
            name="rotated_on",
            field=models.DateField(blank=True, null=True, validators=[registry.validators.day]),
        ),
        migrations.AlterField(
            model_name="historicalagreement",
            name="expires_on",
            field=models.DateField(blank=True, null=True, validators=[registry.validators.day]),
        ),
        migrations.AlterField(
            model_name="historicalagreement",
            name="signed_on",
            field=models.DateField(validators=[registry.validators.day]),
        ),
        migrations.AlterField(
            model_name="historicalcredentialreference",
            name="rotated_on",
            field=models.DateField(blank=True, null=True, validators=[registry.validators.day]),
        ),
        migrations.AlterField(
            model_name="historicalperson",
            name="last_day",
            field=models.DateField(blank=True, null=True, validators=[registry.validators.day]),
        ),
        migrations.AlterField(
            model_name="person",
            name="last_day",
            field=models.DateField(blank=True, null=True, validators=[registry.validators.day]),
        ),
    ]
