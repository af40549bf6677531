"""News for the apps above. Sent in the transaction of what happened."""

from __future__ import annotations

from django.dispatch import Signal

# A hold has left `open`, or has got a vote and still waits. Arguments: hold, by (a Person, the
# slug of an agent, or "" for Muster itself).
hold_moved = Signal()

# A decision stands on the record and is about to be answered; sent from the event loop, so a
# receiver asks nothing of the database. Arguments: answer, began (of Unix time, in ns).
decided = Signal()

# A toxic combination was added, changed or removed. Arguments: combination (the row, as it is or
# was), by.
toxic_changed = Signal()

# A role grants other tools, or others hold it. Arguments: role, by.
role_changed = Signal()

# A person let an agent act for them, or does no more. Arguments: grant, by (a Person, an Automatic,
# or None for Muster itself).
grant_given = Signal()
grant_ended = Signal()
