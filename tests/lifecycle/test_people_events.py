"""Webhooks: signatures by the reference vector, and events in whatever order they come."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.people.errors import NotSigned
from lifecycle.people.events import BadEvent, Event, events_in, in_order, read_event
from lifecycle.people.signing import Signed, check, key_of, new_secret, sign

# From the reference libraries of Standard Webhooks 1.0.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, STAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
AT = datetime.fromtimestamp(int(STAMP), UTC)
OTHER = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="


def test_the_vector_of_the_specification() -> None:
    assert sign(key_of(SECRET), message_id=ID, timestamp=STAMP, body=BODY) == SIGNATURE
    assert key_of(SECRET) == key_of(SECRET.removeprefix("whsec_"))


@pytest.mark.parametrize(
    ("signed", "now"),
    [
        (Signed(ID, STAMP, SIGNATURE), AT),
        (Signed(ID, STAMP, SIGNATURE), AT + timedelta(minutes=5)),
        (Signed(ID, STAMP, SIGNATURE), AT - timedelta(minutes=5)),
        (Signed(ID, STAMP, f"{OTHER} v2,{OTHER[3:]} {SIGNATURE} {OTHER}"), AT),
    ],
)
def test_what_is_signed(signed: Signed, now: datetime) -> None:
    check(signed, BODY, keys=[b"another", key_of(SECRET)], now=now)


@pytest.mark.parametrize(
    ("signed", "body", "now", "code"),
    [
        (Signed("", STAMP, SIGNATURE), BODY, AT, "webhook.signature"),
        (Signed("msg_other", STAMP, SIGNATURE), BODY, AT, "webhook.signature"),
        (Signed(ID, "", SIGNATURE), BODY, AT, "webhook.signature"),
        (Signed(ID, "hello", SIGNATURE), BODY, AT, "webhook.signature"),
        (Signed(ID, "1614265331", SIGNATURE), BODY, AT, "webhook.signature"),
        (Signed(ID, "9" * 30, SIGNATURE), BODY, AT, "webhook.signature"),
        (Signed(ID, STAMP, ""), BODY, AT, "webhook.signature"),
        (Signed(ID, STAMP, "v1,"), BODY, AT, "webhook.signature"),
        (Signed(ID, STAMP, SIGNATURE[:8]), BODY, AT, "webhook.signature"),
        (Signed(ID, STAMP, SIGNATURE[3:]), BODY, AT, "webhook.signature"),
        (Signed(ID, STAMP, "v2" + SIGNATURE[2:]), BODY, AT, "webhook.signature"),
        (Signed(ID, STAMP, SIGNATURE + "é"), BODY, AT, "webhook.signature"),
        (Signed(ID, STAMP, SIGNATURE), BODY + b" ", AT, "webhook.signature"),
        (Signed(ID, STAMP, SIGNATURE), BODY, AT + timedelta(seconds=301), "webhook.timestamp"),
        (Signed(ID, STAMP, SIGNATURE), BODY, AT - timedelta(seconds=301), "webhook.timestamp"),
        (Signed(ID, "99999999999", SIGNATURE), BODY, AT, "webhook.timestamp"),
    ],
)
def test_what_is_not_signed(signed: Signed, body: bytes, now: datetime, code: str) -> None:
    with pytest.raises(NotSigned) as refused:
        check(signed, body, keys=[key_of(SECRET)], now=now)

    assert (refused.value.status, refused.value.code) == (401, code)


def test_without_a_key_nothing_is_signed() -> None:
    with pytest.raises(NotSigned):
        check(Signed(ID, STAMP, SIGNATURE), BODY, keys=[], now=AT)


def test_secrets_are_their_own() -> None:
    assert len({key_of(new_secret()) for _ in range(8)}) == 8
    assert len(key_of(new_secret())) == 32


# Events

JOINER = {
    "id": "e1",
    "type": "joiner",
    "occurred_at": "2026-11-27T09:00:00+01:00",
    "person": {"id": "7", "email": "Ada@Example.org", "name": "Ada", "manager": ""},
}
NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)


def test_an_event_is_read() -> None:
    event = read_event(JOINER, otherwise="m#0", now=NOW)

    assert event == Event(
        id="e1",
        type="joiner",
        occurred_at=NOW,
        external_id="7",
        facts={"name": "Ada", "email": "ada@example.org", "manager": ""},
    )


@pytest.mark.parametrize(
    "change",
    [
        {"type": "fired"},
        {"type": None},
        {"id": ""},
        {"id": "a b"},
        {"id": 7},
        {"occurred_at": None},
        {"occurred_at": "2026-11-27"},
        {"occurred_at": "2026-11-27T09:00:00"},
        {"occurred_at": "0001-01-01T00:00:00+14:00"},
        {"occurred_at": "2026-11-27T09:06:00+01:00"},
        {"occurred_at": 1},
        {"last_day": "2026-12-31"},
        {"type": "leaver", "last_day": "31.12.2026"},
        {"type": "leaver", "last_day": 20261231},
        {"type": "leaver", "last_day": "0001-01-01"},
        {"type": "leaver", "last_day": "9999-12-31"},
        {"person": None},
        {"person": []},
        {"person": {}},
        {"person": {"id": 7}},
        {"person": {"id": ""}},
        {"person": {"id": "x" * 256}},
        {"person": {"id": "7", "pid": "p_1"}},
        {"person": {"id": "7", "email": "ada"}},
        {"person": {"id": "7", "zone": "/etc/passwd"}},
        {"person": {"id": "7", "name": "A\u202eda"}},
        {"person": {"id": "7", "department": None}},
        {"surprise": 1},
    ],
)
def test_what_is_no_event(change: dict[str, Any]) -> None:
    with pytest.raises(BadEvent):
        read_event(JOINER | change, otherwise="m#0", now=NOW)


@pytest.mark.parametrize(
    "body", [None, [], 1, {"events": {}}, {"events": []}, {"events": [1] * 501}]
)
def test_what_is_no_message(body: Any) -> None:
    with pytest.raises(BadEvent):
        events_in(body)


def _events() -> list[Event]:
    def at(hour: int, kind: str, last_day: date | None = None, **facts: str) -> Event:
        when = datetime(2026, 11, 2, hour, tzinfo=UTC)
        return Event(f"{hour}{kind}", kind, when, "7", facts, last_day)

    return [
        at(1, "joiner", name="Ada", department="Sales"),
        at(2, "mover", department="Legal"),
        at(3, "leaver", date(2026, 12, 31)),
        at(4, "mover", department="Data", name="Ada L."),
    ]


def _end(events: tuple[Event, ...] | list[Event]) -> tuple[dict[str, str], str]:
    """What is believed after these, in this order."""
    clocks: dict[str, str] = {}
    believed: dict[str, str] = {}
    employment = ""
    for event in events:
        order = in_order(event, clocks)
        believed |= {name: event.facts[name] for name in order.fields}
        employment = event.id if order.employment else employment
        clocks = order.clocks
    return believed, employment


@pytest.mark.parametrize("events", list(itertools.permutations(_events())))
def test_in_every_order_the_same_is_believed(events: tuple[Event, ...]) -> None:
    assert _end(events) == ({"name": "Ada L.", "department": "Data"}, "3leaver")


def _moment(event: Event) -> tuple[datetime, int]:
    return event.occurred_at, ["joiner", "mover", "leaver"].index(event.type)


@given(
    drawn=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["joiner", "mover", "leaver"]),
            st.sets(st.sampled_from(["name", "department"])),
        ),
        max_size=6,
        unique_by=lambda each: (each[0], each[1]),
    ),
    data=st.data(),
)
def test_the_order_never_matters_nor_does_twice(drawn: list[Any], data: st.DataObject) -> None:
    events = [
        Event(
            f"{hour}{kind}",
            kind,
            NOW + timedelta(hours=hour),
            "7",
            dict.fromkeys(names, f"{hour}{kind}"),
        )
        for hour, kind, names in drawn
    ]
    shuffled = data.draw(st.permutations(events + events))

    assert _end(shuffled) == _end(sorted(events, key=_moment))


def test_at_the_same_instant_the_leaver_counts() -> None:
    joiner = Event("j", "joiner", NOW, "7")
    leaver = Event("l", "leaver", NOW, "7")

    assert [_end(pair)[1] for pair in ([joiner, leaver], [leaver, joiner])] == ["l", "l"]
