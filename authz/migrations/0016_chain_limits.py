from pathlib import Path

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

SQL = Path(__file__).parent / "sql"
_LIMITS = (SQL / "0010_limits.sql").read_text()
_END = "$body$;\n"
_CHANGED = (
    "decide_batch",
    "refuse_over",
    "told_of",
    "weigh_sums",
    "lock_reservation",
    "free_reservation",
    "settle",
)


def _as_it_was(name: str) -> str:
    start = _LIMITS.index(f"CREATE FUNCTION authz.{name}(")
    end = _LIMITS.index(_END, _LIMITS.index("$body$\n", start) + 1) + len(_END)
    return _LIMITS[start:end].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)


BEFORE = "".join(map(_as_it_was, _CHANGED)) + (
    "DROP FUNCTION authz.reserved_of(public.authz_reservation, text), authz.budgets_of(uuid);"
)


class Migration(migrations.Migration):
    dependencies = [
        ("authz", "0015_results"),
    ]

    operations = [
        migrations.AddField(
            model_name="movement",
            name="givers",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40), default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="reservation",
            name="givers",
            field=models.JSONField(
                default=dict,
                help_text="What lies in the budgets of those who handed the call on, by slug.",
            ),
        ),
        migrations.AddIndex(
            model_name="movement",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["givers"], name="movement_by_givers"
            ),
        ),
        migrations.RunSQL((SQL / "0016_chain_limits.sql").read_text(), BEFORE),
    ]
