"""Every figure of every query once more, counted by SQL of its own.

Nothing here is taken from the code under test: tables, columns and words are written out.
"""

# ruff: noqa: E501 - a statement is read as a whole

LIVE = "state IN ('active', 'suspended')"
SPAN = "at >= %(since)s AND at < %(until)s"
DECIDED = (
    "SELECT count(*) FROM audit.record WHERE kind = 'decision'"
    f" AND mode IN ('enforce', 'observe') AND {SPAN}"
)
AGENTS = f"SELECT count(*) FROM registry_agent WHERE {LIVE}"
CREDENTIALS = (
    "SELECT count(*) FROM registry_credentialreference c JOIN registry_agent a ON a.id = c.agent_id"
)
HOLDS = "SELECT count(*) FROM authz_hold WHERE made_at >= %(since)s AND made_at < %(until)s"
CASES = (
    "SELECT count(*) FROM lifecycle_case WHERE opened_at < %(until)s"
    " AND (closed_at IS NULL OR closed_at >= %(since)s) AND kind = 'leaver'"
)
CLOSED = "SELECT count(*) FROM lifecycle_case WHERE closed_at >= %(since)s AND closed_at < %(until)s AND kind = "
CHANGES = "SELECT count(*) FROM registry_proposedchange WHERE decided_at >= %(since)s AND decided_at < %(until)s"
POLICIES = (
    "SELECT count(*) FROM authz_policy WHERE activated_at >= %(since)s AND activated_at < %(until)s"
)
TOXIC = (
    "SELECT count(*) FROM lifecycle_toxicfinding WHERE since < %(until)s"
    " AND (gone_at IS NULL OR gone_at >= %(since)s)"
)
ALERTS = (
    "SELECT count(*) FROM lifecycle_anomaly WHERE found_at >= %(since)s AND found_at < %(until)s"
)
EMERGENCIES = "SELECT count(*) FROM lifecycle_breakglass WHERE opened_at >= %(since)s AND opened_at < %(until)s"
CALLERS = "SELECT count(*) FROM registry_unregisteredcaller WHERE first_seen < %(until)s AND last_seen >= %(since)s"
RUNS = (
    "SELECT {what} FROM lifecycle_sweeprun WHERE started_at >= %(since)s AND started_at < %(until)s"
)
ENDS = (
    "SELECT count(*) FROM lifecycle_endrun WHERE started_at < %(until)s"
    " AND (ended_at IS NULL OR ended_at >= %(since)s)"
)
STEPS = (
    "SELECT count(*) FROM lifecycle_reviewstep s JOIN lifecycle_review r ON r.id = s.review_id"
    " WHERE r.state <> 'withdrawn' AND s.due >= %(since)s AND s.due < %(until)s"
)
ANSWERED = "SELECT count(*) FROM lifecycle_reviewstep WHERE answered_at >= %(since)s AND answered_at < %(until)s"
ROTATED = (
    "SELECT count(*) FROM lifecycle_rotation WHERE rotated_at >= %(since)s"
    " AND rotated_at < %(until)s AND state IN ('overlap', 'done')"
)
GRANTS = (
    "SELECT count(*) FROM authz_grant WHERE given_at < %(until)s"
    " AND (ended_at IS NULL OR ended_at >= %(since)s)"
)
HANDED = (
    "SELECT {what} FROM authz_delegation WHERE given_at < %(until)s"
    " AND (ended_at IS NULL OR ended_at >= %(since)s)"
)
# Each tool of this world touches its own system alone, and no system has resources.
REACHED = (
    " FROM registry_allowlistentry e JOIN registry_agent a ON a.id = e.agent_id"
    " JOIN registry_tool t ON t.id = e.tool_id JOIN registry_system s ON s.id = t.system_id"
)
TOUCHING = "EXISTS (SELECT 1 FROM unnest(s.categories) c WHERE c ~ '(^|-)({words})(-|$)')"
HEALTH = TOUCHING.format(words="phi|patient|patients|health|medical|diagnosis")
PERSONAL = TOUCHING.format(
    words="phi|patient|patients|health|medical|diagnosis|customer|customers|employee|employees|"
    "personal|pii|hr|compensation"
)
# What is read flows to where the model runs, if a provider outside runs it at as high a tier.
FLOWS = f"{REACHED} JOIN registry_system p ON p.id = a.model_provider_id WHERE p.provider <> '' AND t.effect = 'read'"
CALLS = (
    f"SELECT count(*) {FLOWS.replace(' WHERE', ' JOIN audit.record r ON r.agent = a.slug AND r.tool = t.name WHERE')}"
    f" AND r.kind = 'decision' AND (r.effect = 'allow' OR r.mode = 'observe') AND r.{SPAN.replace(' AND at', ' AND r.at')}"
)
IN_FORCE = (
    "EXISTS (SELECT 1 FROM registry_agreement g WHERE g.system_id = p.id AND g.kind = '{kind}'"
    " AND g.signed_on <= current_date AND (g.expires_on IS NULL OR g.expires_on >= current_date))"
)
ON_ITS_DAY = (
    "EXISTS (SELECT 1 FROM registry_agreement g WHERE g.system_id = p.id AND g.kind = '{kind}'"
    " AND g.signed_on <= (r.at AT TIME ZONE 'UTC')::date"
    " AND (g.expires_on IS NULL OR g.expires_on >= (r.at AT TIME ZONE 'UTC')::date))"
)


def _flows(about: str, kind: str) -> dict[str, str]:
    return {
        "flows": f"SELECT count(*) {FLOWS} AND {about}",
        "providers": f"SELECT count(DISTINCT p.id) {FLOWS} AND {about}",
        "covered": f"SELECT count(*) {FLOWS} AND {about} AND {IN_FORCE.format(kind=kind)}",
        "calls": f"{CALLS} AND {about}",
        "uncovered_calls": f"{CALLS} AND {about} AND NOT {ON_ITS_DAY.format(kind=kind)}",
    }


def _said(key: str, *fields: str) -> dict[str, str]:
    full = " AND ".join(f"{field} <> ''" for field in fields)
    return {"agents": AGENTS, f"{key}_complete": f"{AGENTS} AND {full}"}


def _refused(*checks: str) -> dict[str, str]:
    return {check: f"{DECIDED} AND effect = 'deny' AND \"check\" = '{check}'" for check in checks}


SQL: dict[str, dict[str, str]] = {
    "decisions_checked": {
        "decisions": DECIDED,
        "allowed": f"{DECIDED} AND effect = 'allow'",
        "denied": f"{DECIDED} AND effect = 'deny'",
        "held": f"{DECIDED} AND effect = 'hold'",
        "observed": f"{DECIDED} AND effect <> 'allow' AND mode = 'observe'",
    },
    "roles_decide": _refused("identity", "consent", "allowlist", "role", "policy"),
    "acting_consented": {
        "grants": GRANTS,
        "given": f"{GRANTS} AND given_at >= %(since)s",
        "ended": f"{GRANTS} AND ended_at < %(until)s",
        "live": f"{GRANTS} AND ended_at IS NULL AND until > %(until)s",
        "refused": f"{DECIDED} AND effect = 'deny' AND \"check\" = 'consent'",
    },
    "delegations_narrow": {
        "delegations": HANDED.format(what="count(*)"),
        "early": f"{HANDED.format(what='count(*)')} AND ended_at < %(until)s AND end_cause <> 'expired'",
        "for_people": f"{HANDED.format(what='count(*)')} AND grant_id IS NOT NULL",
        "depth": HANDED.format(what="coalesce(max(depth), 0)"),
        "refused": f"{DECIDED} AND effect = 'deny' AND \"check\" = 'delegation'",
    },
    "down_tier_refused": {
        "refused": f"{DECIDED} AND \"check\" = 'flow' AND effect = 'deny'",
        "went_on": f"{DECIDED} AND \"check\" = 'flow' AND effect <> 'allow' AND mode = 'observe'",
    },
    "hostile_input_contained": {
        "parameters": f"{DECIDED} AND \"check\" = 'parameters' AND effect = 'deny'",
        "taint": f"{DECIDED} AND \"check\" = 'taint' AND effect <> 'allow'",
    },
    "blast_contained": {
        "agents": AGENTS,
        **{
            check: f"{DECIDED} AND \"check\" = '{check}' AND effect <> 'allow'"
            for check in ("rate", "spend", "quota", "gate")
        },
        "stopped": f"SELECT count(*) FROM authz_stop WHERE {SPAN}",
        "paged": f"SELECT count(*) FROM authz_page WHERE {SPAN}",
    },
    "holds_decided": {
        "held": HOLDS,
        **{
            state: f"{HOLDS} AND state = '{state}'"
            for state in ("approved", "rejected", "expired", "open")
        },
    },
    "record_kept": {
        "entries": f"SELECT count(*) FROM audit.record WHERE {SPAN}",
        **{
            kind: f"SELECT count(*) FROM audit.record WHERE kind = '{kind}' AND {SPAN}"
            for kind in ("decision", "hold", "registry", "policy", "access", "system", "admin",
                         "outcome", "session", "payload_read")
        },
    },
    "record_retained": {
        "days": "SELECT floor(extract(epoch FROM clock_timestamp() - min(at)) / 86400)"
        " FROM audit.record",
    },
    "owners_reachable": {
        "live": AGENTS,
        "reachable": f"{AGENTS} AND owner_id IN (SELECT id FROM registry_person"
        " WHERE chat_handle <> '')",
    },
    "owners_employed": {
        "live": AGENTS,
        "owners": f"SELECT count(DISTINCT owner_id) FROM registry_agent WHERE {LIVE}",
        **{
            word: f"{AGENTS} AND owner_id IN (SELECT id FROM registry_person WHERE employment ="
            f" '{word}')"
            for word in ("leaving", "left")
        },
    },
    "leavers_handled": {
        "cases": CASES,
        "answered": f"{CASES} AND state = 'answered'",
        "ended": f"{CASES} AND state = 'ended'",
        "open": f"{CASES} AND state = 'open'",
        "late": f"{CASES} AND coalesce(closed_at, now()) > due_at AND state <> 'ended'",
    },
    "own_identity": {
        "agents": AGENTS,
        "clients": "SELECT count(*) FROM registry_client c JOIN registry_agent a"
        f" ON a.id = c.agent_id WHERE a.{LIVE}",
        "borrowed": f"{CREDENTIALS} WHERE a.{LIVE} AND c.state NOT IN ('revoked', 'destroyed')"
        " AND c.holder <> 'own'",
    },
    "callers_known": {
        "callers": CALLERS,
        **{state: f"{CALLERS} AND state = '{state}'" for state in ("adopted", "blocked", "open")},
    },
    "secrets_rotated": {
        "keys": "SELECT (SELECT count(*) FROM registry_client c JOIN registry_agent a"
        f" ON a.id = c.agent_id WHERE a.{LIVE} AND c.secret_digest <> '') + ({CREDENTIALS}"
        f" WHERE a.{LIVE} AND c.state NOT IN ('revoked', 'destroyed'))",
        "rotated": ROTATED,
        "late": f"{ROTATED} AND (rotated_at AT TIME ZONE 'UTC')::date > due_on",
    },
    "secrets_in_vault": {
        "credentials": f"{CREDENTIALS} WHERE c.state NOT IN ('revoked', 'destroyed')",
        "here": f"{CREDENTIALS} WHERE c.state NOT IN ('revoked', 'destroyed') AND c.kind = 'here'",
        "elsewhere": f"{CREDENTIALS} WHERE c.state NOT IN ('revoked', 'destroyed')"
        " AND c.kind = 'elsewhere'",
        "readings": f"SELECT count(*) FROM authz_lease WHERE {SPAN}",
        "live_at_source": f"{CREDENTIALS} WHERE c.live_at_source",
    },
    "purpose_declared": _said("purpose", "purpose", "builder", "model"),
    "documentation_kept": _said(
        "documentation", "repository", "runs_at", "model", "prompt_digest"
    ),
    "ai_act_declared": {
        "agents": AGENTS,
        "declared": f"{AGENTS} AND ai_act_use <> '' AND ai_act_role <> ''",
        "high_risk": f"{AGENTS} AND ai_act_use = 'high'",
        **{word: f"{AGENTS} AND ai_act_role = '{word}'" for word in ("provider", "deployer")},
    },
    "widening_by_two": {
        "proposed": CHANGES,
        "agreed": f"{CHANGES} AND state = 'agreed'",
        "rejected": f"{CHANGES} AND state = 'rejected'",
        "policies": POLICIES,
        "alone": f"{POLICIES} AND agreed_by_id IS NULL",
    },
    "policies_tested": {
        "active": "SELECT count(*) FROM authz_policy WHERE state = 'active'",
        "tested": "SELECT count(*) FROM authz_policy WHERE state = 'active'"
        " AND jsonb_array_length(cases) > 0",
    },
    "duties_separate": {
        "security": "SELECT count(*) FROM registry_person p JOIN registry_person_groups m"
        " ON m.person_id = p.id JOIN auth_group g ON g.id = m.group_id"
        " WHERE g.name = 'security' AND p.is_active AND p.employment <> 'left'",
        "tries": "SELECT count(*) FROM audit.record WHERE position("
        f"'\"did\":\"approval_refused\"'::bytea IN body) > 0 AND {SPAN}",
        "own": "SELECT count(*) FROM authz_holdvote v JOIN authz_hold h ON h.id = v.hold_id"
        " JOIN registry_person p ON p.id = v.person_id WHERE p.pid = ANY(h.barred)",
        "both": "SELECT count(*) FROM (SELECT m.person_id FROM registry_person_groups m JOIN"
        " auth_group g ON g.id = m.group_id GROUP BY 1 HAVING bool_or(g.name = 'platform_admin')"
        " AND bool_or(g.name IN ('security', 'dpo', 'auditor'))) AS two",
    },
    "changes_recorded": {
        "rows": f"SELECT count(*) FROM audit.record WHERE kind = 'registry' AND {SPAN}",
        "policies": f"SELECT count(*) FROM audit.record WHERE kind = 'policy' AND {SPAN}",
        "signatures": ANSWERED,
    },
    "tools_needed": {
        "tools": "SELECT count(*) FROM registry_allowlistentry e JOIN registry_agent a"
        f" ON a.id = e.agent_id WHERE a.{LIVE}",
        "unused": "SELECT count(*) FROM registry_allowlistentry e JOIN registry_agent a"
        f" ON a.id = e.agent_id JOIN registry_tool t ON t.id = e.tool_id WHERE a.{LIVE}"
        " AND a.activated_at < now() - interval '90 days' AND NOT EXISTS (SELECT 1"
        " FROM audit.record r WHERE r.agent = a.slug AND r.tool = t.name AND r.effect = 'allow')",
    },
    "phi_flows_without_baa": _flows(HEALTH, "baa"),
    "processors_without_dpa": _flows(PERSONAL, "dpa"),
    "transfers_safeguarded": {
        "flows": f"SELECT count(*) {FLOWS} AND {PERSONAL}",
        "abroad": f"SELECT count(*) {FLOWS} AND {PERSONAL} AND p.country = 'US'",
        "safeguarded": f"SELECT count(*) {FLOWS} AND {PERSONAL} AND p.country = 'US'"
        f" AND {IN_FORCE.format(kind='transfer')}",
    },
    "systems_classified": {
        "systems": f"SELECT count(DISTINCT s.id) {REACHED}",
        "tagged": f"SELECT count(DISTINCT s.id) {REACHED} WHERE s.tier <> ''",
        "owned": f"SELECT count(DISTINCT s.id) {REACHED} WHERE s.owner_id IS NOT NULL",
    },
    "processing_recorded": {
        "processing": f"SELECT count(DISTINCT a.id) {REACHED} WHERE a.{LIVE} AND {PERSONAL}",
        "complete": f"SELECT count(DISTINCT a.id) {REACHED} WHERE a.{LIVE} AND {PERSONAL}"
        " AND a.purpose <> '' AND a.lawful_basis <> '' AND a.data_subjects <> ''"
        " AND a.recipients <> '' AND a.retention <> '' AND a.data_role <> ''",
    },
    "personal_data_located": {
        "agents": f"SELECT count(DISTINCT a.id) {REACHED} WHERE {PERSONAL}",
        "places": f"SELECT count(DISTINCT s.id) {REACHED} WHERE {PERSONAL}",
    },
    "agents_cleared": {"live": AGENTS, "signed": f"{ANSWERED} AND state IN ('approved', 'answered')"},
    "reviews_on_time": {
        "due": STEPS,
        "late": f"{STEPS} AND coalesce(s.answered_at, now()) > s.due",
        "overdue": f"{AGENTS} AND review_due < current_date",
    },
    "renewals_on_time": {
        "live": AGENTS,
        "answered": f"{CLOSED} 'renewal'",
        "overdue": f"{AGENTS} AND renewal_due < current_date",
        "without": f"{AGENTS} AND renewal_due IS NULL",
    },
    "idle_answered": {
        "active": "SELECT count(*) FROM registry_agent WHERE state = 'active'",
        "answered": f"{CLOSED} 'idle'",
    },
    "ended_cleanly": {"ended": ENDS, "done": f"{ENDS} AND state = 'done'"},
    "toxic_answered": {
        "found": TOXIC,
        **{state: f"{TOXIC} AND state = '{state}'" for state in ("answered", "gone", "open")},
    },
    "probes_pass": {
        "live": AGENTS,
        "runs": f"SELECT count(*) FROM lifecycle_proberun WHERE {SPAN}",
        "missing": f"{AGENTS} AND id NOT IN (SELECT agent_id FROM lifecycle_proberun)",
    },
    "alerts_answered": {
        "alerts": ALERTS,
        "acknowledged": f"{ALERTS} AND state = 'acknowledged'",
        "false": f"{ALERTS} AND state = 'false_alarm'",
        "open": f"{ALERTS} AND state = 'open'",
    },
    "emergency_reviewed": {
        "uses": EMERGENCIES,
        "reviewed": f"{EMERGENCIES} AND closed_at IS NOT NULL",
        "open": f"{EMERGENCIES} AND closed_at IS NULL",
    },
    "sweeps_on_time": {
        "runs": RUNS.format(what="count(*)"),
        "failed": f"{RUNS.format(what='count(*)')} AND failed > 0",
    },
}  # fmt: skip
# What no count of rows tells, and what it is in this world.
KNOWN: dict[str, dict[str, object]] = {
    "record_sealed": {"sealed": 0, "anchored": 0},
    "record_retained": {"asked_months": 6, "dropped": 0},
    "holds_decided": {"median_seconds": None},
    # The credential of the payer.
    "secrets_rotated": {"overdue": 1},
    "personal_data_located": {"erased": 0},
    # Nobody has cleared anything here.
    "agents_cleared": {"cleared": 0},
    "dpo_signed": {"risky": 1, "restricted": 1, "signed": 0},
    "idle_answered": {"idle": 1},
    "ended_cleanly": {"left": 0},
    "probes_pass": {"passing": 0, "failing": 0},
    "sweeps_on_time": {"late": 0},
}
