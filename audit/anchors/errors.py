from governance.kernel.errors import Conflict, NotFound, Unavailable


class NoSuchAnchor(NotFound):
    """There is no anchor of this name. ./muster anchors list shows them all."""

    code = "no_such_anchor"


class AnchorFailed(Unavailable):
    """The anchor did not take the checkpoint. It is told again within a minute."""

    code = "anchor_failed"


class Contradicted(Conflict):
    """What the anchor keeps does not fit the record: the record was rewritten, or set back."""

    code = "anchor_contradicts"
