import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import registry.validators


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0014_told"),
    ]

    operations = [
        migrations.AddField(
            model_name="claimedgroup",
            name="named",
            field=models.CharField(
                blank=True, default="", max_length=255, validators=[registry.validators.plain_text]
            ),
            preserve_default=False,
        ),
        migrations.CreateModel(
            name="GivenGroup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "way",
                    models.CharField(
                        choices=[
                            ("directory", "at once, by SCIM"),
                            ("sign_in", "at each sign-in"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="given",
                        to="registry.claimedgroup",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="given_groups",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("by", "way", "person"), name="given_group_once"
                    ),
                ],
            },
        ),
    ]
