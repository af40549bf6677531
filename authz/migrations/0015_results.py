from pathlib import Path

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("authz", "0014_codes_and_tokens"),
    ]

    operations = [
        migrations.CreateModel(
            name="DelegationResult",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                (
                    "digest",
                    models.CharField(help_text="SHA-256 of its RFC 8785 form.", max_length=64),
                ),
                ("accepted", models.BooleanField()),
                ("reasons", models.JSONField(blank=True, default=list)),
                (
                    "label",
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
                ("untrusted", models.BooleanField()),
                (
                    "categories",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "delegation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="results",
                        to="authz.delegation",
                    ),
                ),
            ],
            options={
                "ordering": ["-at", "-id"],
                "indexes": [
                    models.Index(fields=["delegation", "-at"], name="result_by_delegation")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("accepted", True), ("reasons", [])),
                            models.Q(("accepted", False), models.Q(("reasons", []), _negated=True)),
                            _connector="OR",
                        ),
                        name="result_refused_for_reasons",
                    )
                ],
            },
        ),
        migrations.RunSQL(
            (SQL / "0015_results.sql").read_text(),
            (SQL / "0015_results_reverse.sql").read_text(),
        ),
    ]
