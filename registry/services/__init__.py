"""Every write of the register: one function for each thing that a person can do."""

from registry import changes
from registry.services import (
    agent_states,
    agents,
    claimed_groups,
    observation,
    people,
    systems,
    tools,
)
from registry.services.absences import declare_absence, end_absence
from registry.services.agent_states import (
    activate_agent,
    activate_alone,
    approve_agent,
    attest_agent,
    begin_decommissioning,
    clear_agent,
    clear_by_template,
    finish_decommissioning,
    renew_agent,
    renew_within,
    resume_agent,
    send_back_agent,
    set_review_due,
    still_unsigned,
    submit_for_review,
    suspend_agent,
    take_over_agent,
    transfer_agent,
    void_clearances,
    why_cannot_own,
    withdraw_from_review,
)
from registry.services.agents import (
    add_credential_reference,
    clear_change,
    draft_agent,
    fresh_reach,
    propose_staying,
    reach_after,
    remove_allowlist_entry,
    remove_credential_reference,
    remove_sub_agent,
    set_allowlist_entry,
    set_dependents,
    set_sub_agent,
    update_agent,
)
from registry.services.callers import (
    Noted,
    adopt_caller,
    block_caller,
    link_caller,
    note_caller,
    reopen_caller,
)
from registry.services.claimed_groups import (
    follow_claims,
    forget_claim,
    means_something,
    propose_claimed_group,
    remove_claimed_group,
)
from registry.services.coming_in import known as known_by
from registry.services.coming_in import let_in
from registry.services.fields import (
    AccessFields,
    AgentFields,
    GatewayFields,
    PersonFields,
    ResourceFields,
    SystemFields,
    ToolFields,
)
from registry.services.gateways import save_gateway
from registry.services.joining import (
    Facts,
    Synced,
    let_go,
    person_of,
    rename_identity,
    sync_person,
)
from registry.services.leaving import end_access, settle_leaver
from registry.services.observation import (
    end_observation,
    end_where_due,
    propose_observation,
    why_not_observed,
)
from registry.services.people import (
    add_external_identity,
    create_first_administrator,
    create_person,
    remove_external_identity,
    set_employment,
    set_groups,
    set_own_password,
    update_person,
)
from registry.services.saving import Saved
from registry.services.systems import (
    add_agreement,
    remove_entity,
    remove_resource,
    save_entity,
    save_resource,
    save_resource_type,
    save_system,
)
from registry.services.tools import save_tool

__all__ = [
    "AccessFields",
    "AgentFields",
    "Facts",
    "GatewayFields",
    "Noted",
    "PersonFields",
    "ResourceFields",
    "Saved",
    "Synced",
    "SystemFields",
    "ToolFields",
    "activate_agent",
    "activate_alone",
    "add_agreement",
    "add_credential_reference",
    "add_external_identity",
    "adopt_caller",
    "approve_agent",
    "attest_agent",
    "begin_decommissioning",
    "block_caller",
    "clear_agent",
    "clear_by_template",
    "clear_change",
    "create_first_administrator",
    "create_person",
    "declare_absence",
    "draft_agent",
    "end_absence",
    "end_access",
    "end_observation",
    "end_where_due",
    "finish_decommissioning",
    "follow_claims",
    "forget_claim",
    "fresh_reach",
    "known_by",
    "let_go",
    "let_in",
    "link_caller",
    "means_something",
    "note_caller",
    "person_of",
    "propose_claimed_group",
    "propose_observation",
    "propose_staying",
    "reach_after",
    "register_changes",
    "remove_allowlist_entry",
    "remove_claimed_group",
    "remove_credential_reference",
    "remove_entity",
    "remove_external_identity",
    "remove_resource",
    "remove_sub_agent",
    "rename_identity",
    "renew_agent",
    "renew_within",
    "reopen_caller",
    "resume_agent",
    "save_entity",
    "save_gateway",
    "save_resource",
    "save_resource_type",
    "save_system",
    "save_tool",
    "send_back_agent",
    "set_allowlist_entry",
    "set_dependents",
    "set_employment",
    "set_groups",
    "set_own_password",
    "set_review_due",
    "set_sub_agent",
    "settle_leaver",
    "still_unsigned",
    "submit_for_review",
    "suspend_agent",
    "sync_person",
    "take_over_agent",
    "transfer_agent",
    "update_agent",
    "update_person",
    "void_clearances",
    "why_cannot_own",
    "why_not_observed",
    "withdraw_from_review",
]


def register_changes() -> None:
    """Tell how each kind of widening change of the register is applied, and who agrees."""
    changes.register(claimed_groups.KIND, claimed_groups.apply_claimed_group)
    changes.register(
        people.GROUPS_KIND,
        people.apply_groups,
        who=people.check_who_agrees_to_groups,
        interested=people.interested_in_groups,
    )
    changes.register(systems.FIELDS_KIND, systems.apply_fields)
    changes.register(systems.RESOURCE_KIND, systems.apply_resource)
    changes.register(systems.REMOVAL_KIND, systems.apply_removal)
    changes.register(tools.DEFINITION_KIND, tools.apply_definition)
    changes.register(agents.FIELDS_KIND, agents.apply_fields, who=agents.check_who_agrees)
    changes.register(agents.ENTRY_KIND, agents.apply_entry, who=agents.check_who_agrees)
    changes.register(agents.SUB_AGENT_KIND, agents.apply_sub_agent, who=agents.check_who_agrees)
    changes.register(agents.STAY_KIND, agents.apply_staying, who=agents.check_who_agrees)
    changes.register(
        observation.OBSERVE_KIND,
        observation.apply_observation,
        interested=observation.interested,
    )
    changes.register(
        agent_states.TRANSFER_KIND,
        agent_states.apply_transfer,
        who=agent_states.check_who_accepts,
    )
