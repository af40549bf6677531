"""Every figure of a report of a running company once more, by SQL of its own.

The statements are those of `tests.compliance.counted`. Before the tables that they name stand
copies with what a framework is about, and what that is, is worked out here from the tables alone:
nothing is taken from the code under test.
"""

# ruff: noqa: E501 - a statement is read as a whole, and of our own words alone

from datetime import datetime
from typing import Any

import psycopg

from tests.compliance.counted import AGENTS, CREDENTIALS, KNOWN, LIVE, SPAN, SQL

HEALTH_WORDS = "phi|patient|patients|health|medical|diagnosis"
PEOPLE_WORDS = f"{HEALTH_WORDS}|customer|customers|employee|employees|personal|pii|hr|compensation"
MONEY_WORDS = (
    "financial|finance|payment|payments|billing|ledger|accounting|payroll|compensation|invoice|"
    "invoices|bank|treasury|tax"
)
TIERS = "ARRAY['public', 'internal', 'confidential', 'restricted']"
DAYS = "CASE WHEN {tier} = 4 THEN 30 ELSE 90 END"


def about(words: str) -> str:
    return f"c ~ '(^|[-_.])({words})([-_.]|$)'"


def touches(words: str, agent: str = "a.id") -> str:
    return (
        "EXISTS (SELECT 1 FROM touched t CROSS JOIN unnest(t.categories) c"
        f" WHERE t.agent_id = {agent} AND {about(words)})"
    )


# Which agents a framework is about.
CONCERNED = {
    "gdpr": touches(PEOPLE_WORDS),
    "hipaa": touches(HEALTH_WORDS),
    "soc2": "true",
    "ai-act": "a.ai_act_use = 'high'",
    "sox": f"({touches(MONEY_WORDS)} OR EXISTS (SELECT 1 FROM registry_allowlistentry e"
    " JOIN registry_tool t ON t.id = e.tool_id WHERE e.agent_id = a.id AND t.effect = 'financial'))",
}
# What each tool of each row touches: what it declares, else all of its own system. A name falls
# under the longest entry that fits. Nothing here is narrowed to names of which none is declared.
TOUCHED = f"""
CREATE TEMP TABLE touched ON COMMIT DROP AS
WITH declared AS (
    SELECT e.agent_id, t.name AS tool, coalesce(x.system_id, t.system_id) AS system_id,
        coalesce(x.resource, '') AS resource,
        coalesce(x.direction, CASE t.effect WHEN 'read' THEN 'reads' ELSE 'writes' END) AS direction
    FROM public.registry_allowlistentry e JOIN registry_tool t ON t.id = e.tool_id
    LEFT JOIN registry_toolaccess x ON x.tool_id = t.id
), places AS (
    SELECT d.*, r.id AS listed, r.tier AS own_tier, r.categories AS own
    FROM declared d LEFT JOIN LATERAL (
        SELECT * FROM registry_resource r WHERE r.system_id = d.system_id AND d.resource <> ''
            AND (r.name = d.resource OR r.match = 'prefix' AND starts_with(d.resource, r.name))
        ORDER BY length(r.name) DESC, r.match LIMIT 1
    ) r ON true
    UNION ALL
    SELECT d.agent_id, d.tool, d.system_id, r.name, d.direction, r.id, r.tier, r.categories
    FROM declared d JOIN registry_resource r ON r.system_id = d.system_id WHERE d.resource = ''
)
SELECT p.agent_id, p.tool, p.system_id, p.resource, p.direction,
    array_position({TIERS}, coalesce(nullif(CASE WHEN p.listed IS NULL THEN s.tier ELSE p.own_tier END, ''), 'restricted')::text) AS tier,
    CASE WHEN p.own <> '{{}}' THEN p.own ELSE s.categories END AS categories
FROM places p JOIN registry_system s ON s.id = p.system_id
"""
# What data goes to which provider: what lies there, and what is read no higher and may flow there.
CARRIED = f"""
CREATE TEMP TABLE carried ON COMMIT DROP AS
WITH ends AS (
    SELECT agent_id, system_id, tier, categories, direction FROM touched
    UNION ALL
    SELECT a.id, s.id, array_position({TIERS}, coalesce(nullif(s.tier, ''), 'restricted')::text), s.categories, 'home'
    FROM registry_agent a JOIN registry_system s ON s.id = a.model_provider_id
)
SELECT DISTINCT e.agent_id, e.system_id, c FROM ends e
JOIN registry_agent a ON a.id = e.agent_id
JOIN registry_system p ON p.id = e.system_id AND p.provider <> ''
CROSS JOIN LATERAL (
    SELECT unnest(e.categories) UNION SELECT unnest(r.categories) FROM touched r
    WHERE e.direction <> 'reads' AND r.agent_id = e.agent_id AND r.direction = 'reads' AND r.tier <= e.tier
) AS found (c)
"""
# The tier of an agent is the highest that it touches, or that what comes together in it implies.
TIERED = f"""
CREATE TEMP TABLE tiered ON COMMIT DROP AS
SELECT t.agent_id, greatest(max(t.tier), max(array_position({TIERS}, x.implied_tier::text))) AS tier,
    count(x.id) > 0 AS toxic
FROM touched t LEFT JOIN authz_toxiccombination x ON x.is_active AND NOT x.only_listed
    AND x.effects = '{{}}' AND x.categories <@ (
        SELECT array_agg(DISTINCT c::varchar) FROM touched o CROSS JOIN unnest(o.categories) c
        WHERE o.agent_id = t.agent_id
    )
GROUP BY t.agent_id
"""
STANDING = f"""
CREATE TEMP TABLE registry_agent ON COMMIT DROP AS SELECT * FROM public.registry_agent a
WHERE {{concerned}} AND (
    a.created_at < %(until)s AND NOT (a.state = 'decommissioned' AND a.state_changed_at < %(since)s)
    OR a.slug IN (SELECT agent FROM audit.record WHERE kind = 'decision' AND {SPAN})
)
"""
# Copies with the rows of those agents. Of the record, what names no agent is there for all alone.
OF_AGENTS = {
    **dict.fromkeys(
        ("lifecycle_case", "lifecycle_endrun", "lifecycle_review", "lifecycle_rotation",
         "lifecycle_anomaly", "lifecycle_proberun", "authz_lease"),
        "agent_id IN (SELECT id FROM registry_agent)",
    ),
    "authz_grant": "agent_id IN (SELECT id FROM registry_agent)",
    "authz_delegation": "giver_id IN (SELECT id FROM registry_agent)",
    "lifecycle_reviewstep": "review_id IN (SELECT id FROM lifecycle_review)",
    "authz_stop": f"agent IN (SELECT slug FROM registry_agent WHERE {LIVE})",
    "authz_page": f"agent IN (SELECT slug FROM registry_agent WHERE {LIVE})",
}  # fmt: skip
NAMED = "%(everyone)s OR agent IN (SELECT slug FROM registry_agent)"
IF_ALL = {
    "authz_hold": NAMED,
    "registry_proposedchange": f"agent = '' OR {NAMED}",
    "lifecycle_toxicfinding": "%(everyone)s OR agents && (SELECT array_agg(slug) FROM registry_agent)",
}
KEYS = (
    "SELECT count(*) FROM (SELECT (coalesce(c.rotated_at, c.created_at) AT TIME ZONE 'UTC')::date AS last, d.tier"
    f" FROM registry_client c JOIN registry_agent a ON a.id = c.agent_id JOIN tiered d ON d.agent_id = a.id WHERE a.{LIVE} AND c.secret_digest <> ''"
    " UNION ALL SELECT coalesce(c.rotated_on, (coalesce(a.activated_at, a.created_at) AT TIME ZONE 'UTC')::date),"
    f" coalesce(array_position({TIERS}, nullif(s.tier, '')::text), d.tier)"
    f" FROM registry_credentialreference c JOIN registry_agent a ON a.id = c.agent_id JOIN tiered d ON d.agent_id = a.id LEFT JOIN registry_system s ON s.id = c.system_id WHERE a.{LIVE} AND c.state NOT IN ('revoked', 'destroyed'))"
    f" AS k WHERE k.last + {DAYS.format(tier='k.tier')} < (%(until)s AT TIME ZONE 'UTC')::date"
)
# A word stands until something that the agent touches is tagged otherwise.
WORD = (
    "EXISTS (SELECT 1 FROM registry_clearance w WHERE w.agent_id = a.id AND w.voided = ''{more} AND NOT EXISTS"
    " (SELECT 1 FROM registry_historicalsystem h JOIN touched t ON t.system_id = h.id"
    " WHERE t.agent_id = a.id AND h.history_type = '~' AND h.history_date > w.at))"
)
BARE = (
    "EXISTS (SELECT 1 FROM carried f JOIN registry_system p ON p.id = f.system_id WHERE f.agent_id = a.id"
    f" AND ({about(HEALTH_WORDS)} AND NOT {{baa}} OR {about(PEOPLE_WORDS)} AND NOT {{dpa}}))"
)
IN_FORCE = (
    "EXISTS (SELECT 1 FROM registry_agreement g WHERE g.system_id = {system} AND g.kind = '{kind}'"
    " AND g.signed_on <= {day} AND (g.expires_on IS NULL OR g.expires_on >= {day}))"
)
TODAY = "(%(until)s AT TIME ZONE 'UTC')::date"
DPO = (
    f"{AGENTS} AND id IN (SELECT a.id FROM registry_agent a JOIN tiered d ON d.agent_id = a.id WHERE (d.tier = 4 OR d.toxic OR "
    + BARE.format(
        baa=IN_FORCE.format(system="p.id", kind="baa", day=TODAY),
        dpa=IN_FORCE.format(system="p.id", kind="dpa", day=TODAY),
    )
    + "){more})"
)
NEWEST = (
    "SELECT count(*) FROM (SELECT DISTINCT ON (r.agent_id) r.* FROM lifecycle_proberun r JOIN registry_agent a ON a.id = r.agent_id"
    f" WHERE a.{LIVE} AND r.live = '' ORDER BY r.agent_id, r.at DESC, r.id DESC) AS newest WHERE jsonb_array_length(blocking) "
)
USED = (
    "SELECT 1 FROM audit.record r WHERE r.agent = a.slug AND r.tool = t.name AND r.kind = 'decision'"
    " AND (r.effect = 'allow' OR r.mode = 'observe') AND r.at >= %(until)s - interval '90 days'"
)
IDLE = (
    "SELECT count(*) FROM registry_agent a CROSS JOIN LATERAL (SELECT max(at) AS last FROM everything r"
    " WHERE r.agent = a.slug AND r.kind = 'decision' AND r.mode IN ('enforce', 'observe')) AS asked"
    " CROSS JOIN LATERAL (SELECT max(closed_at) AS kept FROM lifecycle_case c WHERE c.agent_id = a.id"
    " AND c.kind = 'idle' AND c.state = 'answered' AND c.outcome IN ('renewed', 'narrowed')) AS word"
    " WHERE a.state = 'active' AND greatest(a.state_changed_at, asked.last, word.kept)"
    " + CASE WHEN asked.last IS NULL THEN interval '30 days' ELSE interval '90 days' END <= %(until)s"
)


def flows(words: str, kind: str) -> dict[str, str]:
    """Data of one kind, each agent and provider's system once, held against one agreement."""
    made = f"(SELECT DISTINCT agent_id, system_id FROM carried WHERE {about(words)}) AS f JOIN registry_agent a ON a.id = f.agent_id JOIN registry_system p ON p.id = f.system_id"
    calls = (
        f"SELECT count(*) FROM {made} JOIN audit.record r ON r.agent = a.slug WHERE r.kind = 'decision' AND r.mode IN ('enforce', 'observe')"
        f" AND (r.effect = 'allow' OR r.mode = 'observe') AND r.{SPAN.replace(' AND at', ' AND r.at')} AND r.tool IN (SELECT t.tool FROM touched t WHERE t.agent_id = a.id AND (t.system_id = p.id"
        f" OR p.id = a.model_provider_id AND t.direction = 'reads' AND EXISTS (SELECT 1 FROM unnest(t.categories) c WHERE {about(words)})))"
    )
    on_its_day = IN_FORCE.format(system="p.id", kind=kind, day="(r.at AT TIME ZONE 'UTC')::date")
    bare = calls.replace("SELECT count(*) FROM", "SELECT a.id, p.id FROM", 1)
    standing = f"a.{LIVE} AND NOT {IN_FORCE.format(system='p.id', kind=kind, day=TODAY)}"
    return {
        "flows": f"SELECT count(*) FROM {made}",
        "providers": f"SELECT count(DISTINCT p.id) FROM {made}",
        "covered": f"SELECT count(*) FROM {made} WHERE NOT ({standing}) AND (a.id, p.id) NOT IN ({bare} AND NOT {on_its_day})",
        "calls": calls,
        "uncovered_calls": f"{calls} AND NOT {on_its_day}",
        "abroad": f"SELECT count(*) FROM {made} WHERE p.country NOT IN ('DE', 'DK', 'IE', 'SE')",
    }


def _refined() -> dict[str, dict[str, str]]:
    """What is said of the small world of `counted` more simply than it is here."""
    people, touching = flows(PEOPLE_WORDS, "dpa"), touches(PEOPLE_WORDS, "registry_agent.id")
    transfer = flows(PEOPLE_WORDS, "transfer")
    reached = "SELECT {what} FROM touched t JOIN registry_agent a ON a.id = t.agent_id JOIN registry_system s ON s.id = t.system_id"
    systems = reached.format(what="count(DISTINCT s.id)")
    row = ["purpose", "lawful_basis", "data_subjects", "recipients", "retention", "data_role"]
    everyone = {
        key: statement.replace("registry_agent", "everyone")
        for key, statement in SQL["ai_act_declared"].items()
    }
    ours = ("flows", "providers", "covered", "calls", "uncovered_calls")
    return {
        "record_retained": {
            "days": "SELECT floor(extract(epoch FROM %(until)s - min(at)) / 86400) FROM everything"
        },
        "record_sealed": {
            "sealed": "SELECT min(size) FROM audit.checkpoint WHERE size > (SELECT max(index) FROM audit.leaf_index"
            " WHERE record IN (SELECT id FROM everything WHERE at < %(until)s ORDER BY at DESC, id DESC LIMIT 1000)"
            " AND index < coalesce(%(newest)s::bigint, 9223372036854775807))",
        },
        "holds_decided": {
            "median_seconds": "SELECT round(percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM decided_at - made_at)))"
            " FROM authz_hold WHERE made_at >= %(since)s AND made_at < %(until)s AND state IN ('approved', 'rejected')",
        },
        "secrets_rotated": {"overdue": KEYS},
        "secrets_in_vault": {
            key: f"{CREDENTIALS} WHERE {where}"
            for key, where in {"live_at_source": "c.live_at_source"}.items()
        },
        "ai_act_declared": everyone,
        "tools_needed": {
            "unused": "SELECT count(*) FROM registry_allowlistentry e JOIN registry_agent a ON a.id = e.agent_id"
            f" JOIN registry_tool t ON t.id = e.tool_id WHERE a.{LIVE} AND a.activated_at < %(until)s - interval '90 days'"
            f" AND NOT EXISTS ({USED}) AND NOT EXISTS (SELECT 1 FROM lifecycle_keptscope k WHERE k.agent_id = a.id"
            " AND k.tool = t.name AND k.until > %(until)s)",
        },
        "phi_flows_without_baa": {key: flows(HEALTH_WORDS, "baa")[key] for key in ours},
        "processors_without_dpa": {key: people[key] for key in ours},
        "transfers_safeguarded": {
            "flows": people["flows"],
            "abroad": people["abroad"],
            "safeguarded": f"{transfer['abroad']} AND {IN_FORCE.format(system='p.id', kind='transfer', day=TODAY)}",
        },
        "systems_classified": {
            "systems": systems,
            "tagged": f"{systems} WHERE s.tier <> ''",
            "owned": f"{systems} WHERE s.owner_id IS NOT NULL",
        },
        "processing_recorded": {
            "processing": f"{AGENTS} AND {touching}",
            "complete": f"{AGENTS} AND {touching} AND " + " AND ".join(f"{each} <> ''" for each in row),
        },
        "personal_data_located": {
            "agents": f"SELECT count(*) FROM registry_agent WHERE {touching}",
            "places": reached.format(what="count(DISTINCT (t.system_id, t.resource))")
            + f" WHERE EXISTS (SELECT 1 FROM unnest(t.categories) c WHERE {about(PEOPLE_WORDS)})",
        },
        "agents_cleared": {
            "cleared": f"{AGENTS} AND id IN (SELECT a.id FROM registry_agent a WHERE {WORD.format(more='')})"
        },
        "dpo_signed": {
            "risky": DPO.format(more=""),
            "restricted": DPO.format(more=" AND d.tier = 4"),
            "signed": DPO.format(more=f" AND {WORD.format(more=' AND w.basis = %(dpo)s')}"),
        },
        "idle_answered": {"idle": IDLE},
        "ended_cleanly": {
            "left": "SELECT count(*) FROM lifecycle_endstep s JOIN lifecycle_endrun r ON r.id = s.run_id"
            " WHERE r.started_at < %(until)s AND (r.ended_at IS NULL OR r.ended_at >= %(since)s) AND jsonb_array_length(s.\"left\") > 0",
        },
        "probes_pass": {"passing": f"{NEWEST} = 0", "failing": f"{NEWEST} > 0"},
    }  # fmt: skip


REFINED = _refined()


class Reckoning:
    """The counts of one framework over one span, within one snapshot of the database."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        framework: str,
        since: datetime,
        until: datetime,
        newest: int | None = None,
    ) -> None:
        self.cursor = psycopg.ClientCursor(connection)
        self.given: dict[str, Any] = {"since": since, "until": until, "newest": newest}
        self.given |= {"everyone": framework == "soc2", "dpo": "dpo"}
        self._set(TOUCHED)
        self._set(TIERED)
        self._set(STANDING.format(concerned="true").replace("registry_agent ON", "everyone ON"))
        self._set(STANDING.format(concerned=CONCERNED[framework]))
        self._set(CARRIED)
        for table, where in (OF_AGENTS | IF_ALL).items():
            self._set(
                f"CREATE TEMP TABLE {table} ON COMMIT DROP AS SELECT * FROM public.{table} WHERE {where}"
            )
        # Views, so that the record itself is read.
        self._set("CREATE TEMP VIEW everything AS SELECT * FROM audit.record")
        self._set(
            "CREATE TEMP TABLE entry ON COMMIT DROP AS SELECT * FROM audit.record"
            f" WHERE at >= %(since)s - interval '90 days' AND ({NAMED})"
        )

    def _set(self, statement: str) -> None:
        self.cursor.execute(statement, self.given)

    def count(self, query: str, key: str) -> int | None:
        """One figure; None where there is no number. Raises `KeyError` where nobody counts it."""
        known = {**KNOWN.get(query, {}), **SQL.get(query, {}), **REFINED.get(query, {})}[key]
        if not isinstance(known, str):
            return known  # type: ignore[return-value]
        self._set(known.replace("audit.record", "entry"))
        (found,) = self.cursor.fetchone() or (None,)
        return None if found is None else int(found)
