from pathlib import Path

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

import registry.validators

SQL = Path(__file__).parent / "sql"
KNOWN = """
UPDATE authz_policy SET proposed_at = created_at, drafted_at = created_at,
    drafted_by_id = proposed_by_id,
    activated_at = CASE WHEN state = 'active' THEN coalesce(activated_at, created_at)
                        ELSE activated_at END,
    ended_at = CASE WHEN state IN ('superseded', 'retired') THEN created_at END
"""


def whoever(what):
    return models.ForeignKey(
        blank=True,
        editable=False,
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name=f"{what}_policies",
        to=settings.AUTH_USER_MODEL,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_record"),
        ("registry", "0002_slices"),
        ("authz", "0005_flow"),
    ]

    operations = [
        migrations.AddField(
            "policy",
            "cases",
            models.JSONField(
                blank=True,
                default=list,
                help_text="What this version must answer: a list of name, request and effect.",
            ),
        ),
        migrations.AddField(
            "policy",
            "why",
            models.CharField(
                blank=True,
                default="",
                help_text="Why there is this version: the second person reads it.",
                max_length=500,
                validators=[registry.validators.plain_text],
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            "policy", "edits", models.PositiveIntegerField(default=0, editable=False)
        ),
        migrations.AddField("policy", "drafted_by", whoever("drafted")),
        migrations.AddField(
            "policy", "drafted_at", models.DateTimeField(blank=True, editable=False, null=True)
        ),
        migrations.AddField(
            "policy", "proposed_at", models.DateTimeField(blank=True, editable=False, null=True)
        ),
        migrations.AddField("policy", "ended_by", whoever("ended")),
        migrations.AddField(
            "policy", "ended_at", models.DateTimeField(blank=True, editable=False, null=True)
        ),
        migrations.AddField(
            "policy",
            "ended_why",
            models.CharField(blank=True, default="", editable=False, max_length=500),
            preserve_default=False,
        ),
        migrations.AlterField("policy", "proposed_by", whoever("proposed")),
        migrations.AlterField("policy", "agreed_by", whoever("agreed")),
        migrations.RunSQL(KNOWN, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "policy",
            models.UniqueConstraint(
                fields=["slug"], condition=Q(state="draft"), name="policy_one_draft"
            ),
        ),
        migrations.AddConstraint(
            "policy",
            models.CheckConstraint(
                name="policy_active_since",
                condition=~Q(state="active") | Q(activated_at__isnull=False),
            ),
        ),
        migrations.AddConstraint(
            "policy",
            models.CheckConstraint(
                name="policy_ended_when",
                condition=Q(state__in=["superseded", "retired"], ended_at__isnull=False)
                | Q(state__in=["draft", "proposed", "active"], ended_at__isnull=True),
            ),
        ),
        migrations.RunSQL(
            (SQL / "0006_policy_guard.sql").read_text(),
            (SQL / "0006_policy_guard_reverse.sql").read_text(),
        ),
    ]
