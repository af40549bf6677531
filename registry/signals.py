"""News for the apps above. Sent with `send` inside the transaction: a listener that fails undoes
the change."""

from __future__ import annotations

from django.dispatch import Signal

# A person's employment changed. Arguments: person, before (Employment), by (Person or Automatic).
employment_changed = Signal()

# What is known of someone changed: name, email, department, manager, ... Arguments: person, changed
# (a frozenset of names), before (what each of them was), by (Person or Automatic).
person_changed = Signal()

# An agent moved to another state. Arguments: agent, before (AgentState), by, reason, record (the id
# of the entry that says so).
agent_state_changed = Signal()

# An agent has another owner. Arguments: agent, before (Person), by.
agent_transferred = Signal()

# Fields of a row were written, or an entry of its allowlist. Arguments: agent, changed (names), by.
row_changed = Signal()

# What a live agent reaches changed. Arguments: agent, before (Reach), after (Reach), by.
reach_changed = Signal()

# A widening change waits for a second person. Arguments: change (ProposedChange), by.
change_proposed = Signal()

# A change was agreed to, rejected or withdrawn, or fell away with its agent. Arguments: change
# (ProposedChange), by (Person, or Automatic where it fell away).
change_decided = Signal()

# Someone gave their word for an agent. Arguments: agent, clearance, change (the ProposedChange
# that it is for, or None).
agent_cleared = Signal()

# A credential was revoked: nobody gets it any more. Arguments: credential, by, reason.
credential_revoked = Signal()

# A system, a resource of it or a tool of it was written. Arguments: systems (slugs), by.
catalogue_changed = Signal()

# Two people agreed what a group of a source means here. Arguments: row (ClaimedGroup), by.
claimed_group_agreed = Signal()
