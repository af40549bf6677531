DROP INDEX audit.record_agent, audit.record_user, audit.record_tool, audit.record_resource,
    audit.record_kind, audit.record_code, audit.record_check, audit.record_actor,
    audit.record_resource_user, audit.record_resource_agent, audit.record_resource_tool,
    audit.record_user_agent, audit.record_user_tool, audit.record_agent_tool,
    audit.record_effect, audit.record_resource_effect, audit.record_user_effect,
    audit.record_agent_effect, audit.record_tool_effect;
CREATE INDEX ON audit.record (agent, at) WHERE agent <> '';
CREATE INDEX ON audit.record ("user", at) WHERE "user" <> '';
CREATE INDEX ON audit.record (tool, at) WHERE tool <> '';
CREATE INDEX ON audit.record (resource, at) WHERE resource <> '';
CREATE INDEX ON audit.record (effect, code, at) WHERE effect IN ('deny', 'hold');
CREATE INDEX ON audit.record (kind, at) WHERE kind <> 'decision';
