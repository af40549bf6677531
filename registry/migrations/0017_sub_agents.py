from pathlib import Path

import django.db.models.deletion
import simple_history.models
from django.conf import settings
from django.db import migrations, models

import registry.validators

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0016_redirect_uris"),
    ]

    operations = [
        migrations.CreateModel(
            name="HistoricalSubAgent",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "result_schema",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="A JSON Schema that what it answers must meet, {} for anything.",
                        validators=[registry.validators.json_object],
                    ),
                ),
                (
                    "result_tier",
                    models.CharField(
                        choices=[
                            ("public", "public"),
                            ("internal", "internal"),
                            ("confidential", "confidential"),
                            ("restricted", "restricted"),
                        ],
                        default="internal",
                        help_text="The most sensitive that its answers may be.",
                        max_length=12,
                    ),
                ),
                (
                    "result_trusted",
                    models.BooleanField(
                        default=False,
                        help_text="Unless its run read something untrusted itself.",
                        verbose_name="its answers count as trusted",
                    ),
                ),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "agent",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.agent",
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "sub_agent",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.agent",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical sub agent",
                "verbose_name_plural": "historical sub agents",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="SubAgent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "result_schema",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="A JSON Schema that what it answers must meet, {} for anything.",
                        validators=[registry.validators.json_object],
                    ),
                ),
                (
                    "result_tier",
                    models.CharField(
                        choices=[
                            ("public", "public"),
                            ("internal", "internal"),
                            ("confidential", "confidential"),
                            ("restricted", "restricted"),
                        ],
                        default="internal",
                        help_text="The most sensitive that its answers may be.",
                        max_length=12,
                    ),
                ),
                (
                    "result_trusted",
                    models.BooleanField(
                        default=False,
                        help_text="Unless its run read something untrusted itself.",
                        verbose_name="its answers count as trusted",
                    ),
                ),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sub_agents",
                        to="registry.agent",
                    ),
                ),
                (
                    "sub_agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="declared_by",
                        to="registry.agent",
                    ),
                ),
            ],
            options={
                "ordering": ["agent", "sub_agent"],
                "constraints": [
                    models.UniqueConstraint(fields=("agent", "sub_agent"), name="sub_agent_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("agent", models.F("sub_agent")), _negated=True),
                        name="sub_agent_is_another",
                        violation_error_message="An agent hands over to another one.",
                    ),
                ],
            },
        ),
        migrations.RunSQL(
            (SQL / "0017_sub_agents.sql").read_text(),
            (SQL / "0017_sub_agents_reverse.sql").read_text(),
        ),
    ]
