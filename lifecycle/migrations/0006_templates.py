from pathlib import Path

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import registry.validators

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("lifecycle", "0005_toxic"),
        ("registry", "0005_limits"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Template",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
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
                ("version", models.PositiveIntegerField(default=1)),
                (
                    "name",
                    models.CharField(max_length=100, validators=[registry.validators.plain_text]),
                ),
                (
                    "summary",
                    models.CharField(max_length=200, validators=[registry.validators.plain_text]),
                ),
                (
                    "content",
                    models.JSONField(
                        help_text="See docs/reference/templates.md",
                        validators=[registry.validators.json_object],
                    ),
                ),
                (
                    "approved_tier",
                    models.CharField(
                        choices=[
                            ("public", "public"),
                            ("internal", "internal"),
                            ("confidential", "confidential"),
                            ("restricted", "restricted"),
                        ],
                        default="internal",
                        help_text="Up to here an agent of it needs no review of its own.",
                        max_length=12,
                    ),
                ),
                (
                    "why",
                    models.CharField(
                        blank=True, max_length=500, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("proposed", "proposed"),
                            ("active", "in force"),
                            ("superseded", "superseded"),
                            ("retired", "retired"),
                        ],
                        default="proposed",
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("planted", models.BooleanField(default=False, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("activated_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("ended_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "agreed_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="agreed_templates",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "proposed_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="proposed_templates",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["slug", "-version"],
            },
        ),
        migrations.CreateModel(
            name="FromTemplate",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "choices",
                    models.JSONField(default=dict, validators=[registry.validators.json_object]),
                ),
                ("at", models.DateTimeField()),
                (
                    "agent",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="from_template",
                        to="registry.agent",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "template",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="uses",
                        to="lifecycle.template",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="template",
            constraint=models.UniqueConstraint(
                fields=("slug", "version"), name="template_version_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="template",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "active")),
                fields=("slug",),
                name="template_one_active",
            ),
        ),
        migrations.AddConstraint(
            model_name="template",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("agreed_by__isnull", True),
                    models.Q(("agreed_by", models.F("proposed_by")), _negated=True),
                    _connector="OR",
                ),
                name="template_agreed_by_another",
            ),
        ),
        migrations.AddConstraint(
            model_name="template",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "active"), _negated=True),
                    ("activated_at__isnull", False),
                    _connector="OR",
                ),
                name="template_active_since",
            ),
        ),
        migrations.AddConstraint(
            model_name="template",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at__isnull", False), ("state__in", ["superseded", "retired"])),
                    models.Q(("ended_at__isnull", True), ("state__in", ["proposed", "active"])),
                    _connector="OR",
                ),
                name="template_ended_when",
            ),
        ),
        migrations.RunSQL(
            (SQL / "0006_templates.sql").read_text(),
            (SQL / "0006_templates_reverse.sql").read_text(),
        ),
    ]
