from governance.kernel.errors import Conflict, Invalid, NotAllowed, NotFound, Unavailable


class NoSuchStream(NotFound):
    """There is no stream of this name. ./muster streams list shows them all."""

    code = "no_such_stream"


class StreamFailed(Unavailable):
    """The receiver did not take the entries. They are sent again."""

    code = "stream_failed"


class BatchRefused(StreamFailed):
    """The receiver refuses what it was sent. Fewer entries at once are tried."""

    code = "batch_refused"


class StreamBusy(Conflict):
    """Somebody sends on this stream right now. Try again in a minute."""

    code = "stream_busy"


class NoSuchPlace(Invalid):
    """The record has no entry there. The first is 0, and the place behind the last is its size."""

    code = "no_such_place"


class StreamsHidden(NotAllowed):
    """Only who may see every entry sees where they are sent. Ask security, or an auditor."""

    code = "streams_hidden"
