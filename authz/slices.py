"""The facts that decisions read, as PostgreSQL puts them into documents.

One statement per kind of slice, so that a slice and its revision come from one database
snapshot. Each statement takes the keys that are wanted and answers a row for each:
key, revision (0 where nothing ever changed under it), document (NULL where there is none), and
the database's time. The shapes of the documents are part of the record: add, never rename.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from registry.reserved import ROLE as CREDENTIALS_ROLE
from registry.reserved import SYSTEM, TOOL

WORLD = "global"
MAX_SAFE_INTEGER = 2**53 - 1

_HEAD = """
SELECT wanted.key, coalesce(slice.revision, 0), facts.document::text, clock_timestamp()
FROM unnest(%s::text[]) AS wanted (key)
LEFT JOIN registry_slice AS slice ON slice.key = wanted.key
LEFT JOIN LATERAL (
"""
_TAIL = ") AS facts (document) ON true"

# Reading a credential is a tool as any other, with a role that grants it. It reads no data: what
# it writes is the lease. Every agent with a credential to read has both, for its own alone.
_BUILT_IN_TOOL = json.dumps(
    {
        TOOL: {
            "system": SYSTEM,
            "effect": "read",
            "version": 1,
            "schema": {
                "type": "object",
                "properties": {"reference": {"type": "string", "maxLength": 255}},
                "required": ["reference"],
                "additionalProperties": False,
            },
            "amount": "",
            "currency": "",
            "count": "",
            "recipient": "",
            "resource": "reference",
            "secret": [],
            "cost_minor": 0,
            "amount_is_cost": False,
            "on_taint": "",
            "money": "EUR",
            "gates": {},
            "accesses": [{"system": SYSTEM, "resource": "", "direction": "writes"}],
        }
    }
)
_BUILT_IN_SYSTEM = json.dumps(
    {
        SYSTEM: {
            "tier": "restricted",
            "categories": [],
            "environment": "production",
            "country": "",
            "trust": "trusted",
            "personal_ids": False,
            "rate_per_minute": None,
            "rate_per_hour": None,
            "resources": [],
        }
    }
)
_BUILT_IN_ROLE = json.dumps({CREDENTIALS_ROLE: [TOOL]})

_WORLD = f"""
SELECT jsonb_build_object(
  'tools', (SELECT coalesce(jsonb_object_agg(tool.name, jsonb_build_object(
      'system', system.slug, 'effect', tool.effect, 'version', tool.version,
      'schema', tool.schema, 'amount', tool.amount_parameter,
      'currency', tool.currency_parameter, 'count', tool.count_parameter,
      'recipient', tool.recipient_parameter, 'resource', tool.resource_parameter,
      'secret', to_jsonb(tool.secret_parameters), 'cost_minor', tool.cost_minor,
      'amount_is_cost', tool.amount_is_cost,
      'on_taint', tool.on_taint, 'money', tool.currency, 'gates', tool.gates,
      'accesses', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'system', touched.slug, 'resource', access.resource, 'direction', access.direction)
            ORDER BY touched.slug, access.resource, access.direction), '[]')
          FROM registry_toolaccess AS access
          JOIN registry_system AS touched ON touched.id = access.system_id
          WHERE access.tool_id = tool.id))), '{{}}') || '{_BUILT_IN_TOOL}'::jsonb
    FROM registry_tool AS tool JOIN registry_system AS system ON system.id = tool.system_id),
  'systems', (SELECT coalesce(jsonb_object_agg(system.slug, jsonb_build_object(
      'tier', coalesce(nullif(system.tier, ''), 'restricted'),
      'categories', to_jsonb(system.categories), 'environment', system.environment,
      'country', system.country, 'trust', system.trust,
      'personal_ids', system.personal_resource_ids,
      'rate_per_minute', system.rate_per_minute, 'rate_per_hour', system.rate_per_hour,
      'resources', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'name', resource.name, 'match', resource.match,
            'tier', coalesce(nullif(resource.tier, ''), 'restricted'),
            'categories', to_jsonb(CASE WHEN cardinality(resource.categories) > 0
                                   THEN resource.categories ELSE system.categories END))
            ORDER BY resource.name, resource.match), '[]')
          FROM registry_resource AS resource WHERE resource.system_id = system.id))), '{{}}')
      || '{_BUILT_IN_SYSTEM}'::jsonb
    FROM registry_system AS system),
  'roles', (SELECT coalesce(jsonb_object_agg(role.slug,
      (SELECT coalesce(jsonb_agg(tool.name ORDER BY tool.name), '[]')
       FROM authz_role_tools AS granted JOIN registry_tool AS tool ON tool.id = granted.tool_id
       WHERE granted.role_id = role.id)), '{{}}') || '{_BUILT_IN_ROLE}'::jsonb
    FROM authz_role AS role),
  'policies', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'id', policy.slug || '@v' || policy.version, 'text', policy.text,
      'log_only', policy.log_only) ORDER BY policy.slug), '[]')
    FROM authz_policy AS policy WHERE policy.state = 'active'),
  'governed', (SELECT coalesce(jsonb_agg(governed.tool ORDER BY governed.tool), '[]')
    FROM authz_governedtool AS governed),
  'types', (SELECT coalesce(jsonb_object_agg(type.slug,
      jsonb_build_object('attributes', type.attributes)), '{{}}')
    FROM registry_resourcetype AS type),
  'entities', (SELECT coalesce(jsonb_object_agg(type.slug,
      (SELECT coalesce(jsonb_object_agg(entity.entity_id, entity.attributes), '{{}}')
       FROM registry_resourceentity AS entity WHERE entity.type_id = type.id)), '{{}}')
    FROM registry_resourcetype AS type),
  'relationships', (SELECT coalesce(jsonb_agg(jsonb_build_array(
      related.resource_type, related.resource_id, related.relation,
      related.subject_type, related.subject_id)
      ORDER BY related.resource_type, related.resource_id, related.relation,
               related.subject_type, related.subject_id), '[]')
    FROM authz_relationship AS related),
  'toxic', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'slug', toxic.slug, 'categories', to_jsonb(toxic.categories),
      'effects', to_jsonb(toxic.effects), 'tier', toxic.implied_tier)
      ORDER BY toxic.slug), '[]')
    FROM authz_toxiccombination AS toxic WHERE toxic.is_active AND NOT toxic.only_listed),
  'rates', (SELECT coalesce(jsonb_object_agg(rate.currency, rate.worth::text), '{{}}')
    FROM authz_currencyrate AS rate),
  'signatures', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'slug', signature.slug, 'pattern', signature.pattern,
      'effects', to_jsonb(signature.effects), 'tools', to_jsonb(signature.tools))
      ORDER BY signature.slug), '[]')
    FROM authz_signature AS signature WHERE signature.is_active),
  'pdps', (SELECT coalesce(jsonb_object_agg(pdp.slug, jsonb_build_object(
      'url', pdp.url, 'timeout_ms', pdp.timeout_ms, 'subject_type', pdp.subject_type,
      'resource_type', pdp.resource_type, 'roles_as', pdp.roles_as,
      'sends', to_jsonb(pdp.sends), 'parameters', to_jsonb(pdp.parameters),
      'parameters_in', pdp.parameters_in,
      'tools', to_jsonb(pdp.tools), 'roles', to_jsonb(pdp.roles))), '{{}}')
    FROM authz_externalpdp AS pdp WHERE pdp.is_active))
"""  # noqa: S608 - constants of ours

_AGENT = f"""
SELECT jsonb_build_object(
  'slug', agent.slug, 'state', agent.state, 'kind', agent.kind, 'pattern', agent.pattern,
  'owner', owner.pid, 'owner_employment', owner.employment, 'owner_zone', owner.zone,
  'prompt_digest', agent.prompt_digest, 'code_reference', agent.code_reference,
  'observe_until', to_char(agent.observe_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  'tier', coalesce((SELECT cleared.tier FROM registry_clearance AS cleared
      WHERE cleared.agent_id = agent.id ORDER BY cleared.at DESC, cleared.id DESC LIMIT 1), ''),
  'roles', (SELECT coalesce(jsonb_agg(role.slug ORDER BY role.slug), '[]')
    FROM authz_role_agents AS held JOIN authz_role AS role ON role.id = held.role_id
    WHERE held.agent_id = agent.id) || CASE WHEN readable.names IS NULL THEN '[]'
      ELSE jsonb_build_array('{CREDENTIALS_ROLE}') END,
  'allowlist', (SELECT coalesce(jsonb_object_agg(tool.name, jsonb_build_object(
      'narrowing', entry.narrowing, 'rate_per_minute', entry.rate_per_minute,
      'rate_per_hour', entry.rate_per_hour,
      'write_quota_per_hour', entry.write_quota_per_hour, 'gates', entry.gates)), '{{}}')
    FROM registry_allowlistentry AS entry JOIN registry_tool AS tool ON tool.id = entry.tool_id
    WHERE entry.agent_id = agent.id) || CASE WHEN readable.names IS NULL THEN '{{}}'
      ELSE jsonb_build_object('{TOOL}', jsonb_build_object(
        'narrowing', jsonb_build_object('properties', jsonb_build_object(
            'reference', jsonb_build_object('enum', readable.names))),
        'rate_per_minute', NULL, 'rate_per_hour', NULL, 'write_quota_per_hour', NULL,
        'gates', jsonb_build_object())) END,
  'sub_agents', (SELECT coalesce(jsonb_agg(other.slug ORDER BY other.slug), '[]')
    FROM registry_subagent AS declared JOIN registry_agent AS other
      ON other.id = declared.sub_agent_id
    WHERE declared.agent_id = agent.id),
  'client_version', coalesce(client.version, 0),
  'revoked', (SELECT coalesce(jsonb_agg(revoked.jti ORDER BY revoked.jti), '[]')
    FROM registry_revokedtoken AS revoked WHERE revoked.client_id = client.id),
  'carried', (SELECT coalesce(jsonb_object_agg(carried.fact,
      to_char(carried.until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), '{{}}')
    FROM authz_carried AS carried WHERE carried.agent = agent.slug),
  'output_tiers', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'slug', output.combination, 'categories', to_jsonb(output.categories),
      'effects', to_jsonb(output.effects), 'tier', output.tier)
      ORDER BY output.combination), '[]')
    FROM authz_outputtier AS output WHERE output.agent_id = agent.id),
  'domains', (SELECT coalesce(jsonb_agg(known.domain ORDER BY known.domain), '[]')
    FROM authz_knowndomain AS known WHERE known.agent = agent.slug),
  'limits', jsonb_build_object(
    'rate_per_minute', agent.rate_per_minute, 'rate_per_hour', agent.rate_per_hour,
    'spend_cap_minor', agent.spend_cap_minor,
    'spend_cap_month_minor', agent.spend_cap_month_minor, 'currency', agent.currency))
FROM registry_agent AS agent
JOIN registry_person AS owner ON owner.id = agent.owner_id
LEFT JOIN registry_client AS client ON client.agent_id = agent.id
CROSS JOIN LATERAL (SELECT jsonb_agg(named.reference ORDER BY named.reference) AS names
  FROM registry_credentialreference AS named
  WHERE named.agent_id = agent.id AND (named.state = 'active'
    OR (named.state = 'declared' AND split_part(named.reference, '://', 1) IN ('aws-sm', 'kv')))
) AS readable
WHERE agent.slug = substr(wanted.key, 7)
"""  # noqa: S608 - constants of ours

_USER = """
SELECT jsonb_build_object(
  'pid', person.pid, 'employment', person.employment, 'last_day', person.last_day,
  'zone', person.zone, 'department', person.department, 'manager', coalesce(manager.pid, ''),
  'roles', (SELECT coalesce(jsonb_agg(role.slug ORDER BY role.slug), '[]')
    FROM authz_role_people AS held JOIN authz_role AS role ON role.id = held.role_id
    WHERE held.person_id = person.id),
  'groups', (SELECT coalesce(jsonb_agg(joined.name ORDER BY joined.name), '[]')
    FROM registry_person_groups AS member JOIN auth_group AS joined ON joined.id = member.group_id
    WHERE member.person_id = person.id),
  'grants', (SELECT coalesce(jsonb_object_agg(agent.slug, jsonb_build_object(
      'id', given.id, 'tools', given.tools,
      'until', to_char(given.until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))), '{}')
    FROM authz_grant AS given JOIN registry_agent AS agent ON agent.id = given.agent_id
    WHERE given.person_id = person.id AND given.ended_at IS NULL),
  'personal', jsonb_build_object(
    'email', person.email, 'name', person.name, 'attributes', person.attributes,
    'identities', (SELECT coalesce(jsonb_agg(jsonb_build_array(known.source, known.external_id)
        ORDER BY known.source, known.external_id), '[]')
      FROM registry_externalidentity AS known WHERE known.person_id = person.id)))
FROM registry_person AS person
LEFT JOIN registry_person AS manager ON manager.id = person.manager_id
WHERE person.pid = substr(wanted.key, 6)
"""

_GATEWAY = """
SELECT jsonb_build_object(
  'slug', gateway.slug, 'active', gateway.is_active, 'source', gateway.source,
  'client_version', coalesce(client.version, 0),
  'revoked', (SELECT coalesce(jsonb_agg(revoked.jti ORDER BY revoked.jti), '[]')
    FROM registry_revokedtoken AS revoked WHERE revoked.client_id = client.id))
FROM registry_gateway AS gateway
LEFT JOIN registry_client AS client ON client.gateway_id = gateway.id
WHERE gateway.slug = substr(wanted.key, 9)
"""

# A plan names people and addresses, so it lies with what is personal.
_SESSION = """
SELECT jsonb_build_object(
  'id', session.id, 'agent', agent.slug, 'clean', session.is_clean, 'tier', session.tier,
  'untrusted', session.untrusted, 'categories', to_jsonb(session.categories),
  'ended', session.ended_at IS NOT NULL,
  'expires_at', to_char(session.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  'personal', jsonb_build_object('plan', session.plan))
FROM authz_flowsession AS session JOIN registry_agent AS agent ON agent.id = session.agent_id
WHERE session.id = substr(wanted.key, 9)
"""

# The links of a chain, from whoever began it down to the delegation that was presented.
_CHAIN = """
WITH RECURSIVE link AS (
    SELECT presented.* FROM authz_delegation AS presented
    WHERE presented.id::text = substr(wanted.key, 7)
    UNION ALL
    SELECT above.* FROM authz_delegation AS above JOIN link ON above.id = link.parent_id)
SELECT jsonb_build_object(
  'id', substr(wanted.key, 7),
  'grant', coalesce((SELECT link.grant_id::text FROM link WHERE link.parent_id IS NULL), ''),
  'user', coalesce((SELECT person.pid FROM link
      JOIN authz_grant AS given ON given.id = link.grant_id
      JOIN registry_person AS person ON person.id = given.person_id
      WHERE link.parent_id IS NULL), ''),
  'links', (SELECT jsonb_agg(jsonb_build_object(
      'id', link.id, 'giver', giver.slug, 'receiver', receiver.slug,
      'ended', link.ended_at IS NOT NULL, 'tools', link.tools,
      'until', to_char(link.until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'read', jsonb_build_object('tier', link.read_tier, 'untrusted', link.read_untrusted,
                                 'categories', to_jsonb(link.read_categories)))
      ORDER BY link.depth)
    FROM link JOIN registry_agent AS giver ON giver.id = link.giver_id
    JOIN registry_agent AS receiver ON receiver.id = link.receiver_id))
WHERE EXISTS (SELECT FROM link)
"""

_STATEMENTS = {
    WORLD: _WORLD,
    "agent": _AGENT,
    "user": _USER,
    "gateway": _GATEWAY,
    "session": _SESSION,
    "chain": _CHAIN,
}


@dataclass(frozen=True, slots=True)
class Read:
    """One slice as the database has it at `at`; `document` is None where there is no such row."""

    key: str
    revision: int
    document: dict[str, Any] | None
    at: datetime


def read(keys: Iterable[str]) -> list[Read]:
    """The slices under `keys`: one statement for each kind among them."""
    by_kind: dict[str, list[str]] = {}
    for key in keys:
        by_kind.setdefault(key.partition(":")[0], []).append(key)
    return [each for kind, wanted in by_kind.items() for each in _read(kind, wanted)]


def revision(key: str) -> int:
    """The revision of one slice; 0 where nothing ever changed under it."""
    return revisions([key]).get(key, 0)


def revisions(keys: Sequence[str]) -> dict[str, int]:
    """The revisions of these slices, where there are any."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, revision FROM registry_slice WHERE key = ANY(%s)", [list(keys)])
        return dict(cursor.fetchall())


def _read(kind: str, keys: Sequence[str]) -> list[Read]:
    with connection.cursor() as cursor:
        cursor.execute(_HEAD + _STATEMENTS[kind] + _TAIL, [list(keys)])
        rows = cursor.fetchall()
    return [
        Read(key, revision, None if text is None else parse(text), at)
        for key, revision, text, at in rows
    ]


def parse(text: str | bytes) -> Any:
    """A document as it was written, with integers that its canonical form can hold."""
    return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int | float:
    """RFC 8785 knows no integers beyond ±(2⁵³−1); a schema's bound may lie there all the same."""
    value = int(digits)
    return value if abs(value) <= MAX_SAFE_INTEGER else float(value)
