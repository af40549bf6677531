"""Ending a grant, or a link of a chain, is immediate: four web processes (promises 8 and 16).

An agent asks for a person on their grant, and another one on what the first handed over, both
without a pause, while the grant or the link is ended and given anew. Each client notes when its
question began. None that began after an end was acknowledged may be allowed on it, whichever
process answered.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.functional.installation import Installation, running
from tests.functional.test_kill import QUESTION

pytestmark = pytest.mark.kill

ROUNDS = int(os.environ.get("MUSTER_REVOCATION_ROUNDS", "25"))
CLIENTS = 4  # of each agent
TIERS = ("PUBLIC", "INTERNAL", "CONFIDENTIAL", "RESTRICTED")
FIRST, SECOND, PERSON = "refund-desk", "support-copilot", "jane.okafor"


@dataclass(frozen=True)
class Asked:
    """One question: on which link ("" for the grant alone), when it began, whether allowed."""

    link: str
    began: float
    told: float
    allowed: bool


@dataclass
class Stage:
    """What is live now, and when each thing that ended had done so."""

    database: psycopg.Connection[Any]
    person: int
    pid: str
    grant: str = ""
    link: str = ""
    # Of each link, and of the grants together, from when to when nothing was live.
    ended: dict[str, float] = field(default_factory=dict)
    without_grant: list[tuple[float, float]] = field(default_factory=list)

    def give(self) -> None:
        """A grant of the person, and a link that rests on it, as the services write them."""
        self.grant, link = str(uuid4()), str(uuid4())
        self.database.execute(
            "INSERT INTO authz_grant (id, person_id, agent_id, tools, way, given_at, until,"
            " end_cause) SELECT %s, %s, a.id, %s::jsonb, 'consent', now(), now() + '1 day', ''"
            " FROM registry_agent AS a WHERE a.slug = %s",
            [self.grant, self.person, '{"ticket.read": {}}', FIRST],
        )
        self._hand_over(link)

    def hand_over(self) -> None:
        """Another link on the same grant."""
        self._hand_over(str(uuid4()))

    def _hand_over(self, link: str) -> None:
        self.database.execute(
            "INSERT INTO authz_delegation (id, depth, giver_id, receiver_id, grant_id, tools,"
            " session, read_tier, read_untrusted, read_categories, given_at, until, end_cause)"
            " SELECT %s, 1, one.id, other.id, %s, %s::jsonb, '', 'public', false, '{}', now(),"
            " now() + '1 hour', '' FROM registry_agent AS one, registry_agent AS other"
            " WHERE one.slug = %s AND other.slug = %s",
            [link, self.grant, '{"ticket.read": {}}', FIRST, SECOND],
        )
        self.database.commit()
        self.link = link

    def end_grant(self) -> None:
        """End the grant; the database ends what rests on it."""
        link = self.link
        self.database.execute(
            "UPDATE authz_grant SET ended_at = clock_timestamp(), end_cause = 'security'"
            " WHERE id = %s",
            [self.grant],
        )
        self.database.commit()
        since = self.ended[link] = time.monotonic()
        time.sleep(0.2)
        # What is answered later may have met the next grant.
        self.without_grant.append((since, time.monotonic()))
        self.give()

    def end_link(self) -> None:
        """End the link alone."""
        self.database.execute(
            "UPDATE authz_delegation SET ended_at = clock_timestamp(), end_cause = 'giver'"
            " WHERE id = %s",
            [self.link],
        )
        self.database.commit()
        self.ended[self.link] = time.monotonic()
        time.sleep(0.2)
        self.hand_over()

    def is_wrong(self, asked: Asked) -> bool:
        """Whether it was allowed on what had ended before it began."""
        if not asked.allowed:
            return False
        if asked.link:
            return self.ended.get(asked.link, asked.began) < asked.began
        return any(since < asked.began and asked.told <= to for since, to in self.without_grant)


@pytest.fixture(scope="module")
def four() -> Iterator[Installation]:
    """The made-up company behind four web processes; two agents of it act for people."""
    # Each refusal counts as a denial, and so many of those would stop an agent.
    patience = {f"MUSTER_BREAKER_DENIALS_{tier}": "1000000" for tier in TIERS}
    with running("--demo", MUSTER_WEB_WORKERS="4", **patience) as installation:
        for agent in (FIRST, SECOND):
            installation.lift_limits(agent)
        with installation.as_web() as database:
            database.execute(
                "UPDATE registry_agent SET pattern = 'impersonation' WHERE slug = ANY (%s)",
                [[FIRST, SECOND]],
            )
            database.execute(
                "INSERT INTO registry_subagent (agent_id, sub_agent_id, result_schema,"
                " result_tier, result_trusted) SELECT one.id, other.id, '{}', 'internal', false"
                " FROM registry_agent AS one, registry_agent AS other"
                " WHERE one.slug = %s AND other.slug = %s ON CONFLICT DO NOTHING",
                [FIRST, SECOND],
            )
        yield installation


@pytest.fixture
def stage(four: Installation) -> Iterator[Stage]:
    with four.as_web() as database:
        found = database.execute(
            "SELECT id, pid FROM registry_person WHERE email LIKE %s", [f"{PERSON}@%"]
        ).fetchone()
        assert found is not None
        database.execute(
            "UPDATE authz_grant SET ended_at = clock_timestamp(), end_cause = 'replaced'"
            " FROM registry_agent AS a WHERE a.id = agent_id AND a.slug = %s"
            " AND person_id = %s AND ended_at IS NULL",
            [FIRST, found[0]],
        )
        made = Stage(database, *found)
        made.give()
        yield made


def token_of(four: Installation, agent: str) -> str:
    known = next(each for each in four.demo["agents"] if each["id"] == agent)
    return four.token(known["client_id"], known["client_secret"])


def asking(
    base_url: str, token: str, agent: str, stage: Stage, stop: threading.Event
) -> list[Asked]:
    """Ask until told to stop, each time over a connection of its own: any process may answer."""
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    found = []
    with httpx.Client(base_url=base_url, headers=headers, timeout=20) as client:
        while not stop.is_set():
            link = stage.link if agent == SECOND else ""
            context = {"user": stage.pid, **({"delegation": link} if link else {})}
            question = {
                **QUESTION,
                "subject": {"type": "agent", "id": agent},
                "context": context,
            }
            began = time.monotonic()
            answer = client.post("/access/v1/evaluation", json=question)
            assert answer.status_code == 200, answer.text
            found.append(Asked(link, began, time.monotonic(), answer.json()["decision"]))
    return found


@pytest.mark.parametrize(
    ("end", "asks"),
    [
        pytest.param(Stage.end_grant, (FIRST, SECOND), id="grant"),
        pytest.param(Stage.end_link, (SECOND,), id="link"),
    ],
)
def test_nothing_that_begins_after_an_end_is_allowed(
    four: Installation,
    stage: Stage,
    end: Callable[[Stage], None],
    asks: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="httpx")  # else a line for each of thousands
    stop = threading.Event()
    tokens = {agent: token_of(four, agent) for agent in asks}

    with ThreadPoolExecutor(CLIENTS * len(asks)) as pool:
        under_way = [
            pool.submit(asking, four.base_url, tokens[agent], agent, stage, stop)
            for agent in asks
            for _ in range(CLIENTS)
        ]
        try:
            for _ in range(ROUNDS):
                time.sleep(0.2)
                end(stage)
        finally:
            stop.set()
        told = {
            agent: [
                each for one in under_way[n * CLIENTS : (n + 1) * CLIENTS] for each in one.result()
            ]
            for n, agent in enumerate(asks)
        }

    for agent, asked in told.items():
        allowed = [each for each in asked if each.allowed]
        refused = len(asked) - len(allowed)
        wrong = [each for each in allowed if stage.is_wrong(each)]
        print(f"{agent}: {len(allowed)} allowed, {refused} refused, {len(wrong)} wrong")
        assert wrong == []
        assert min(len(allowed), refused) > ROUNDS
