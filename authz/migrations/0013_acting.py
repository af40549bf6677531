from pathlib import Path

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import registry.validators

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("authz", "0012_toxic"),
        ("registry", "0015_given_groups"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Grant",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("tools", models.JSONField(validators=[registry.validators.json_object])),
                (
                    "way",
                    models.CharField(
                        choices=[
                            ("consent", "the person's consent"),
                            ("preapproved", "approved beforehand for a group"),
                        ],
                        default="consent",
                        max_length=12,
                    ),
                ),
                ("given_at", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "end_cause",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("person", "ended by the person"),
                            ("security", "ended by security"),
                            ("replaced", "replaced by a newer one"),
                            ("expired", "its time was over"),
                            ("left", "the person left"),
                            ("agent", "an agent of it stopped"),
                            ("giver", "taken back by who handed it over"),
                            ("receiver", "given back by who received it"),
                            ("above", "what it rested on ended"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="grants",
                        to="registry.agent",
                    ),
                ),
                (
                    "ended_by",
                    models.ForeignKey(
                        blank=True,
                        help_text="Nobody where Muster did it by itself; the cause says why.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="grants",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-given_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="Delegation",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("depth", models.PositiveSmallIntegerField(default=1)),
                ("tools", models.JSONField(validators=[registry.validators.json_object])),
                (
                    "session",
                    models.CharField(
                        blank=True, help_text="The giver's run, as it named it.", max_length=200
                    ),
                ),
                (
                    "read_tier",
                    models.CharField(
                        choices=[
                            ("public", "public"),
                            ("internal", "internal"),
                            ("confidential", "confidential"),
                            ("restricted", "restricted"),
                        ],
                        default="public",
                        max_length=12,
                    ),
                ),
                ("read_untrusted", models.BooleanField(default=False)),
                (
                    "read_categories",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("given_at", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "end_cause",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("person", "ended by the person"),
                            ("security", "ended by security"),
                            ("replaced", "replaced by a newer one"),
                            ("expired", "its time was over"),
                            ("left", "the person left"),
                            ("agent", "an agent of it stopped"),
                            ("giver", "taken back by who handed it over"),
                            ("receiver", "given back by who received it"),
                            ("above", "what it rested on ended"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "giver",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="handed_over",
                        to="registry.agent",
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="children",
                        to="authz.delegation",
                    ),
                ),
                (
                    "receiver",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="received",
                        to="registry.agent",
                    ),
                ),
                (
                    "grant",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="delegations",
                        to="authz.grant",
                    ),
                ),
            ],
            options={
                "ordering": ["-given_at", "-id"],
            },
        ),
        migrations.AddIndex(
            model_name="grant",
            index=models.Index(fields=["person", "-given_at"], name="grant_by_person"),
        ),
        migrations.AddIndex(
            model_name="grant",
            index=models.Index(fields=["agent", "-given_at"], name="grant_by_agent"),
        ),
        migrations.AddIndex(
            model_name="grant",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", True)),
                fields=["until"],
                name="grant_by_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ended_at__isnull", True)),
                fields=("person", "agent"),
                name="grant_one_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.CheckConstraint(
                condition=models.Q(("until__gt", models.F("given_at"))),
                name="grant_ends_after_start",
            ),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("end_cause", ""), ("ended_at__isnull", True), ("ended_by__isnull", True)
                    ),
                    models.Q(
                        ("ended_at__isnull", False), models.Q(("end_cause", ""), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="grant_end_has_a_cause",
            ),
        ),
        migrations.AddIndex(
            model_name="delegation",
            index=models.Index(fields=["giver", "-given_at"], name="delegation_by_giver"),
        ),
        migrations.AddIndex(
            model_name="delegation",
            index=models.Index(fields=["receiver", "-given_at"], name="delegation_by_receiver"),
        ),
        migrations.AddIndex(
            model_name="delegation",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", True)),
                fields=["until"],
                name="delegation_by_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="delegation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("depth", 1), ("parent__isnull", True)),
                    models.Q(("depth__gte", 2), ("depth__lte", 3), ("parent__isnull", False)),
                    _connector="OR",
                ),
                name="delegation_depth",
            ),
        ),
        migrations.AddConstraint(
            model_name="delegation",
            constraint=models.CheckConstraint(
                condition=models.Q(("giver", models.F("receiver")), _negated=True),
                name="delegation_to_another",
            ),
        ),
        migrations.AddConstraint(
            model_name="delegation",
            constraint=models.CheckConstraint(
                condition=models.Q(("until__gt", models.F("given_at"))),
                name="delegation_ends_after_start",
            ),
        ),
        migrations.AddConstraint(
            model_name="delegation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("end_cause", ""), ("ended_at__isnull", True)),
                    models.Q(
                        ("ended_at__isnull", False), models.Q(("end_cause", ""), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="delegation_end_has_a_cause",
            ),
        ),
        migrations.RunSQL(
            (SQL / "0013_acting.sql").read_text(),
            (SQL / "0013_acting_reverse.sql").read_text(),
        ),
    ]
