from governance.kernel.errors import Conflict


class NotSealed(Conflict):
    """This entry is not sealed yet: it will be within seconds. Ask again then."""

    code = "not_sealed"
