import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import governance.kernel.clock


class Migration(migrations.Migration):
    dependencies = [
        ("lifecycle", "0004_reviews"),
        ("authz", "0012_toxic"),
        ("registry", "0005_limits"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ToxicCheck",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("combination", models.CharField(max_length=60)),
                ("version", models.PositiveIntegerField()),
                ("asked_at", models.DateTimeField(default=governance.kernel.clock.now)),
                ("found", models.PositiveIntegerField(default=0)),
                (
                    "asked_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-asked_at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="ToxicFinding",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("combination", models.CharField(max_length=60)),
                (
                    "scope",
                    models.CharField(
                        choices=[("agent", "one agent"), ("owner", "agents of one owner")],
                        max_length=5,
                    ),
                ),
                (
                    "agents",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), size=None
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
                ("reason", models.CharField(max_length=300)),
                ("only_listed", models.BooleanField(default=False)),
                ("connected", models.BooleanField(default=False)),
                ("places", models.JSONField(default=list)),
                ("digest", models.CharField(max_length=64)),
                ("since", models.DateTimeField()),
                ("gone_at", models.DateTimeField(blank=True, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "waits for an answer"),
                            ("answered", "answered"),
                            ("gone", "no longer there"),
                        ],
                        default="open",
                        editable=False,
                        max_length=8,
                    ),
                ),
                (
                    "answer",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("split", "split"),
                            ("elevate", "reviewed"),
                            ("aggregate", "its outputs count as the implied tier"),
                        ],
                        max_length=9,
                    ),
                ),
                ("answer_reason", models.CharField(blank=True, max_length=500)),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                (
                    "agent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="toxic_findings",
                        to="registry.agent",
                    ),
                ),
                (
                    "answered_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="toxic_findings",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-since", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="ToxicSplit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("system", models.CharField(max_length=60)),
                ("tool", models.CharField(max_length=120)),
                ("policy", models.CharField(max_length=60)),
                ("sides", models.JSONField(default=dict)),
                ("at", models.DateTimeField(default=governance.kernel.clock.now)),
                ("undone_at", models.DateTimeField(blank=True, null=True)),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="splits",
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
                    "finding",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="splits",
                        to="lifecycle.toxicfinding",
                    ),
                ),
                (
                    "first",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.agent",
                    ),
                ),
                (
                    "second",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.agent",
                    ),
                ),
                (
                    "undone_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="ToxicDue",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("asked_at", models.DateTimeField(default=governance.kernel.clock.now)),
                ("done_at", models.DateTimeField(blank=True, null=True)),
                (
                    "check_of",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="due",
                        to="lifecycle.toxiccheck",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "toxic due",
                "ordering": ["pk"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("done_at__isnull", True)),
                        fields=["owner"],
                        name="toxic_due",
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="toxicfinding",
            index=models.Index(fields=["state", "-since"], name="toxic_by_state"),
        ),
        migrations.AddConstraint(
            model_name="toxicfinding",
            constraint=models.UniqueConstraint(
                condition=models.Q(("scope", "agent")),
                fields=("combination", "agent"),
                name="toxic_once_per_agent",
            ),
        ),
        migrations.AddConstraint(
            model_name="toxicfinding",
            constraint=models.UniqueConstraint(
                condition=models.Q(("scope", "owner")),
                fields=("combination", "owner"),
                name="toxic_once_per_owner",
            ),
        ),
        migrations.AddConstraint(
            model_name="toxicfinding",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("agent__isnull", False), ("owner__isnull", True), ("scope", "agent")),
                    models.Q(("agent__isnull", True), ("owner__isnull", False), ("scope", "owner")),
                    _connector="OR",
                ),
                name="toxic_of_whom",
            ),
        ),
        migrations.AddConstraint(
            model_name="toxicfinding",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("answer", ""), ("answered_at__isnull", True), ("answered_by__isnull", True)
                    ),
                    models.Q(
                        models.Q(("answer", ""), _negated=True),
                        ("answered_at__isnull", False),
                        ("answered_by__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="toxic_answered_by_whom_and_when",
            ),
        ),
        migrations.AddConstraint(
            model_name="toxicfinding",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "answered"), models.Q(("answer", ""), _negated=True)),
                    models.Q(("state", "open"), ("answer", "")),
                    ("state", "gone"),
                    _connector="OR",
                ),
                name="toxic_answered_has_answer",
            ),
        ),
        migrations.AddConstraint(
            model_name="toxicfinding",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("gone_at__isnull", False), ("state", "gone")),
                    models.Q(models.Q(("state", "gone"), _negated=True), ("gone_at__isnull", True)),
                    _connector="OR",
                ),
                name="toxic_gone_when",
            ),
        ),
        migrations.AddConstraint(
            model_name="toxicsplit",
            constraint=models.UniqueConstraint(
                condition=models.Q(("undone_at__isnull", True)),
                fields=("finding",),
                name="split_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="toxicsplit",
            constraint=models.CheckConstraint(
                condition=models.Q(("first", models.F("second")), _negated=True),
                name="split_in_two",
            ),
        ),
        migrations.AddConstraint(
            model_name="toxicsplit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("undone_at__isnull", True), ("undone_by__isnull", True)),
                    models.Q(("undone_at__isnull", False), ("undone_by__isnull", False)),
                    _connector="OR",
                ),
                name="split_undone_by_whom_and_when",
            ),
        ),
    ]
