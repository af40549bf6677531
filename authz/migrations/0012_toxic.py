from pathlib import Path

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import governance.kernel.clock
import registry.validators

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("authz", "0011_leases"),
        ("registry", "0005_limits"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="OutputTier",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "combination",
                    models.CharField(
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                (
                    "categories",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "effects",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=24),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "tier",
                    models.CharField(
                        choices=[
                            ("public", "public"),
                            ("internal", "internal"),
                            ("confidential", "confidential"),
                            ("restricted", "restricted"),
                        ],
                        max_length=12,
                    ),
                ),
                ("set_at", models.DateTimeField(default=governance.kernel.clock.now)),
            ],
            options={
                "ordering": ["agent", "combination"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="toxiccombination",
            name="toxic_two_or_three",
        ),
        migrations.AddField(
            model_name="historicaltoxiccombination",
            name="effects",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("private_data", "private data: reads confidential or higher"),
                        ("untrusted_content", "untrusted content: reads what may be hostile"),
                        ("write", "write"),
                        ("destructive", "destructive"),
                        ("financial", "financial"),
                        ("permission_grant", "permission grant"),
                        ("external_communication", "external communication"),
                    ],
                    max_length=24,
                ),
                blank=True,
                default=list,
                help_text="What an agent does besides. Two or more of categories and effects together.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="historicaltoxiccombination",
            name="only_listed",
            field=models.BooleanField(
                default=False,
                help_text="It is listed and asks for an answer, but raises no tier and needs no review.",
            ),
        ),
        migrations.AddField(
            model_name="historicaltoxiccombination",
            name="reference",
            field=models.CharField(
                blank=True,
                help_text="The incident or source that it was learned from, so that it can be looked up.",
                max_length=300,
                validators=[registry.validators.plain_text],
            ),
        ),
        migrations.AddField(
            model_name="toxiccombination",
            name="effects",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("private_data", "private data: reads confidential or higher"),
                        ("untrusted_content", "untrusted content: reads what may be hostile"),
                        ("write", "write"),
                        ("destructive", "destructive"),
                        ("financial", "financial"),
                        ("permission_grant", "permission grant"),
                        ("external_communication", "external communication"),
                    ],
                    max_length=24,
                ),
                blank=True,
                default=list,
                help_text="What an agent does besides. Two or more of categories and effects together.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="toxiccombination",
            name="only_listed",
            field=models.BooleanField(
                default=False,
                help_text="It is listed and asks for an answer, but raises no tier and needs no review.",
            ),
        ),
        migrations.AddField(
            model_name="toxiccombination",
            name="reference",
            field=models.CharField(
                blank=True,
                help_text="The incident or source that it was learned from, so that it can be looked up.",
                max_length=300,
                validators=[registry.validators.plain_text],
            ),
        ),
        migrations.AlterField(
            model_name="historicaltoxiccombination",
            name="categories",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    max_length=60,
                    validators=[
                        django.core.validators.RegexValidator(
                            "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                            "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                        )
                    ],
                ),
                blank=True,
                default=list,
                size=None,
            ),
        ),
        migrations.AlterField(
            model_name="toxiccombination",
            name="categories",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    max_length=60,
                    validators=[
                        django.core.validators.RegexValidator(
                            "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                            "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                        )
                    ],
                ),
                blank=True,
                default=list,
                size=None,
            ),
        ),
        migrations.AddConstraint(
            model_name="toxiccombination",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("categories__len__gte", 2),
                    models.Q(("categories__len", 1), ("effects__len__gte", 1)),
                    ("effects__len__gte", 2),
                    _connector="OR",
                ),
                name="toxic_two_or_more",
                violation_error_message="A combination has at least two categories or effects.",
            ),
        ),
        migrations.AddConstraint(
            model_name="toxiccombination",
            constraint=models.CheckConstraint(
                condition=models.Q(("categories__len__lte", 8), ("effects__len__lte", 7)),
                name="toxic_not_too_many",
                violation_error_message="A combination has at most eight categories.",
            ),
        ),
        migrations.AddField(
            model_name="outputtier",
            name="agent",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="output_tiers",
                to="registry.agent",
            ),
        ),
        migrations.AddField(
            model_name="outputtier",
            name="set_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="outputtier",
            constraint=models.UniqueConstraint(
                fields=("agent", "combination"), name="output_tier_once"
            ),
        ),
        migrations.RunSQL(
            (SQL / "0012_toxic.sql").read_text(),
            (SQL / "0012_toxic_reverse.sql").read_text(),
        ),
    ]
