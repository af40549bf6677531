-- What the trail is searched by (see audit/search.py). Run by the migrator, as muster_audit.
--
-- One column alone, newest first; what stands behind the time is looked at in the index, so that
-- an agent's few denials are found without opening its many entries.
DROP INDEX audit.record_agent_at_idx;
DROP INDEX audit.record_user_at_idx;
DROP INDEX audit.record_tool_at_idx;
DROP INDEX audit.record_resource_at_idx;
DROP INDEX audit.record_kind_at_idx;
DROP INDEX audit.record_effect_code_at_idx;
CREATE INDEX record_agent ON audit.record (agent, at, effect, kind, code) WHERE agent <> '';
CREATE INDEX record_user ON audit.record ("user", at, effect, kind, code) WHERE "user" <> '';
CREATE INDEX record_tool ON audit.record (tool, at, effect, kind, code) WHERE tool <> '';
CREATE INDEX record_resource ON audit.record (resource, at, effect, kind, code)
    WHERE resource <> '';
CREATE INDEX record_kind ON audit.record (kind, at) WHERE kind <> 'decision';
CREATE INDEX record_code ON audit.record (code, at) WHERE code <> '';
CREATE INDEX record_check ON audit.record ("check", at) WHERE "check" <> '';
-- What people did: their ids begin so, and nothing else that acts does.
CREATE INDEX record_actor ON audit.record (actor, at) WHERE actor >= 'p_' AND actor < 'p`';

-- Two columns together: neither alone leads to few entries where both are frequent. An owner, who
-- sees some agents, asks for two and these: there the tool is looked at in the index as well.
CREATE INDEX record_resource_user ON audit.record (resource, "user", at)
    WHERE resource <> '' AND "user" <> '';
CREATE INDEX record_resource_agent ON audit.record (resource, agent, at, tool)
    WHERE resource <> '' AND agent <> '';
CREATE INDEX record_resource_tool ON audit.record (resource, tool, at)
    WHERE resource <> '' AND tool <> '';
CREATE INDEX record_user_agent ON audit.record ("user", agent, at, tool)
    WHERE "user" <> '' AND agent <> '';
CREATE INDEX record_user_tool ON audit.record ("user", tool, at)
    WHERE "user" <> '' AND tool <> '';
CREATE INDEX record_agent_tool ON audit.record (agent, tool, at)
    WHERE agent <> '' AND tool <> '';

-- Most decisions are allows; these are looked for because they are the others.
CREATE INDEX record_effect ON audit.record (effect, at) WHERE effect IN ('deny', 'hold');
CREATE INDEX record_resource_effect ON audit.record (resource, effect, at)
    WHERE resource <> '' AND effect IN ('deny', 'hold');
CREATE INDEX record_user_effect ON audit.record ("user", effect, at)
    WHERE "user" <> '' AND effect IN ('deny', 'hold');
CREATE INDEX record_agent_effect ON audit.record (agent, effect, at)
    WHERE agent <> '' AND effect IN ('deny', 'hold');
CREATE INDEX record_tool_effect ON audit.record (tool, effect, at)
    WHERE tool <> '' AND effect IN ('deny', 'hold');
