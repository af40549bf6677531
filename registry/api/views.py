"""The register over REST: the same services and permissions as the forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from governance.kernel.errors import Conflict, NotFound
from registry import permissions, services
from registry.api import described  # noqa: F401  OpenAPI finds it once it is imported
from registry.api import serializers as shapes
from registry.api.operations import (
    ACTING,
    JSON,
    LISTING,
    READING,
    WRITING,
    Listed,
    answer_saved,
    given_in,
    person_of,
    waiting_answer,
)
from registry.identity import clients
from registry.models import Agent, Client, Person, System, Tool
from registry.reach import PREFETCH, catalogue, reach_of

_SYSTEM_WAITING = waiting_answer("System", shapes.SystemOut)
_TOOL_WAITING = waiting_answer("Tool", shapes.ToolOut)
_AGENT_WAITING = waiting_answer("Agent", shapes.AgentOut)


class People(Listed):
    @extend_schema(
        operation_id="people_list",
        responses={(200, JSON): shapes.PersonOut(many=True), **LISTING},
    )
    def get(self, request: Request) -> Response:
        """People, by name."""
        rows = Person.objects.visible_to(person_of(request)).select_related("manager")
        return self.page(
            request, rows.prefetch_related("groups").order_by("name", "pk"), shapes.PersonOut
        )

    @extend_schema(request=shapes.NewPersonIn, responses={(201, JSON): shapes.PersonOut, **WRITING})
    def post(self, request: Request) -> Response:
        """Add a person."""
        person = services.create_person(
            by=person_of(request), **given_in(shapes.NewPersonIn, request)
        )
        return Response(shapes.PersonOut(person).data, status=status.HTTP_201_CREATED)


class OnePerson(APIView):
    @extend_schema(responses={(200, JSON): shapes.PersonOut, **READING})
    def get(self, request: Request, pid: str) -> Response:
        """One person."""
        person = get_object_or_404(Person.objects.visible_to(person_of(request)), pid=pid)
        return Response(shapes.PersonOut(person).data)

    @extend_schema(request=shapes.PersonIn, responses={(200, JSON): shapes.PersonOut, **WRITING})
    def patch(self, request: Request, pid: str) -> Response:
        """Change a person."""
        person = get_object_or_404(Person.objects.visible_to(person_of(request)), pid=pid)
        serializer = shapes.PersonIn(data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        changed = services.update_person(
            person_id=person.pk, by=person_of(request), **serializer.validated_data
        )
        return Response(shapes.PersonOut(changed).data)


class EmploymentOf(APIView):
    @extend_schema(
        request=shapes.EmploymentIn, responses={(200, JSON): shapes.PersonOut, **WRITING}
    )
    def put(self, request: Request, pid: str) -> Response:
        """Say that someone is employed, leaving or has left. Their agents follow at once."""
        person = get_object_or_404(Person.objects.visible_to(person_of(request)), pid=pid)
        changed = services.set_employment(
            person_id=person.pk, by=person_of(request), **given_in(shapes.EmploymentIn, request)
        )
        return Response(shapes.PersonOut(changed).data)


class Systems(Listed):
    @extend_schema(
        operation_id="systems_list",
        responses={(200, JSON): shapes.SystemOut(many=True), **LISTING},
    )
    def get(self, request: Request) -> Response:
        """Systems, by slug."""
        rows = System.objects.visible_to(person_of(request)).select_related("owner")
        return self.page(
            request, rows.prefetch_related("resources").order_by("slug"), shapes.SystemOut
        )

    @extend_schema(request=shapes.NewSystemIn, responses={(201, JSON): shapes.SystemOut, **WRITING})
    def post(self, request: Request) -> Response:
        """Add a system."""
        given = given_in(shapes.NewSystemIn, request)
        if System.objects.filter(slug=given["slug"]).exists():
            raise Conflict("A system of this slug is on the register. Change it with PATCH.")
        return answer_saved(
            services.save_system(by=person_of(request), **given), shapes.SystemOut, created=True
        )


class OneSystem(APIView):
    @extend_schema(responses={(200, JSON): shapes.SystemOut, **READING})
    def get(self, request: Request, slug: str) -> Response:
        """One system."""
        found = get_object_or_404(System.objects.visible_to(person_of(request)), slug=slug)
        return Response(shapes.SystemOut(found).data)

    @extend_schema(
        request=shapes.SystemIn,
        responses={(200, JSON): shapes.SystemOut, **_SYSTEM_WAITING, **WRITING},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change a system. What widens is proposed, and answered 202."""
        get_object_or_404(System.objects.visible_to(person_of(request)), slug=slug)
        given = given_in(shapes.SystemIn, request)
        return answer_saved(
            services.save_system(slug=slug, by=person_of(request), **given), shapes.SystemOut
        )


class Tools(Listed):
    @extend_schema(
        operation_id="tools_list",
        responses={(200, JSON): shapes.ToolOut(many=True), **LISTING},
    )
    def get(self, request: Request) -> Response:
        """Tools, by name."""
        rows = Tool.objects.visible_to(person_of(request)).select_related("system")
        return self.page(
            request, rows.prefetch_related("accesses__system").order_by("name"), shapes.ToolOut
        )

    @extend_schema(request=shapes.NewToolIn, responses={(201, JSON): shapes.ToolOut, **WRITING})
    def post(self, request: Request) -> Response:
        """Add a tool."""
        given = given_in(shapes.NewToolIn, request)
        if Tool.objects.filter(name__iexact=given["name"]).exists():
            raise Conflict("A tool of this name is on the register. Change it with PATCH.")
        return answer_saved(
            services.save_tool(by=person_of(request), **given), shapes.ToolOut, created=True
        )


class OneTool(APIView):
    @extend_schema(responses={(200, JSON): shapes.ToolOut, **READING})
    def get(self, request: Request, name: str) -> Response:
        """One tool."""
        found = get_object_or_404(Tool.objects.visible_to(person_of(request)), name=name)
        return Response(shapes.ToolOut(found).data)

    @extend_schema(
        request=shapes.ToolIn, responses={(200, JSON): shapes.ToolOut, **_TOOL_WAITING, **WRITING}
    )
    def patch(self, request: Request, name: str) -> Response:
        """Change a tool; its version rises."""
        get_object_or_404(Tool.objects.visible_to(person_of(request)), name=name)
        given = given_in(shapes.ToolIn, request)
        return answer_saved(
            services.save_tool(name=name, by=person_of(request), **given), shapes.ToolOut
        )


def _tier_of(agent: Agent) -> str:
    return str(reach_of(agent).tier)


def _tiers() -> Callable[[Agent], str]:
    """As `_tier_of`, for a list: the catalogue is read once."""
    combinations = catalogue()
    return lambda agent: str(reach_of(agent, combinations).tier)


def _agent_body(agent: Agent) -> Any:
    return shapes.AgentOut(agent, context={"tier_of": _tier_of}).data


def _visible_agent(request: Request, slug: str) -> Agent:
    return get_object_or_404(Agent.objects.visible_to(person_of(request)), slug=slug)


class Agents(Listed):
    @extend_schema(
        operation_id="agents_list",
        responses={(200, JSON): shapes.AgentOut(many=True), **LISTING},
    )
    def get(self, request: Request) -> Response:
        """Agents, by slug."""
        rows = (
            Agent.objects.visible_to(person_of(request))
            .select_related("owner", "backup_owner", "model_provider")
            .prefetch_related(*PREFETCH)
        )
        return self.page(request, rows.order_by("slug"), shapes.AgentOut, tier_of=_tiers())

    @extend_schema(request=shapes.NewAgentIn, responses={(201, JSON): shapes.AgentOut, **WRITING})
    def post(self, request: Request) -> Response:
        """Register an agent as a draft."""
        given = given_in(shapes.NewAgentIn, request)
        owner = given.pop("owner", None) or person_of(request)
        agent = services.draft_agent(owner=owner, by=person_of(request), **given)
        return Response(_agent_body(agent), status=status.HTTP_201_CREATED)


class OneAgent(APIView):
    @extend_schema(responses={(200, JSON): shapes.AgentOut, **READING})
    def get(self, request: Request, slug: str) -> Response:
        """One agent."""
        return Response(_agent_body(_visible_agent(request, slug)))

    @extend_schema(
        request=shapes.AgentIn,
        responses={(200, JSON): shapes.AgentOut, **_AGENT_WAITING, **WRITING},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change the row. What widens a live agent is proposed, and answered 202."""
        agent = _visible_agent(request, slug)
        given = given_in(shapes.AgentIn, request)
        saved = services.update_agent(agent_id=agent.pk, by=person_of(request), **given)
        return answer_saved(saved, shapes.AgentOut, tier_of=_tier_of)


class Entry(APIView):
    @extend_schema(
        request=shapes.EntryIn,
        responses={(200, JSON): shapes.AgentOut, **_AGENT_WAITING, **WRITING},
    )
    def put(self, request: Request, slug: str, tool: str) -> Response:
        """Let the agent call a tool, as narrow as the body says."""
        agent = _visible_agent(request, slug)
        found = get_object_or_404(Tool.objects.visible_to(person_of(request)), name=tool)
        given = given_in(shapes.EntryIn, request)
        saved = services.set_allowlist_entry(
            agent_id=agent.pk, tool=found, by=person_of(request), **given
        )
        return answer_saved(saved, shapes.AgentOut, tier_of=_tier_of)

    @extend_schema(responses={(200, JSON): shapes.AgentOut, **ACTING})
    def delete(self, request: Request, slug: str, tool: str) -> Response:
        """Take a tool from the agent, at once."""
        agent = _visible_agent(request, slug)
        found = get_object_or_404(Tool.objects.visible_to(person_of(request)), name=tool)
        changed = services.remove_allowlist_entry(
            agent_id=agent.pk, tool=found, by=person_of(request)
        )
        return Response(_agent_body(changed))


class SubAgentOf(APIView):
    @extend_schema(
        request=shapes.SubAgentIn,
        responses={(200, JSON): shapes.AgentOut, **_AGENT_WAITING, **WRITING},
    )
    def put(self, request: Request, slug: str, other: str) -> Response:
        """Let the agent hand over to another one, and say what of its answers it takes in."""
        agent = _visible_agent(request, slug)
        given = given_in(shapes.SubAgentIn, request)
        saved = services.set_sub_agent(
            agent_id=agent.pk,
            sub_agent=get_object_or_404(Agent, slug=other),
            by=person_of(request),
            **given,
        )
        return answer_saved(saved, shapes.AgentOut, tier_of=_tier_of)

    @extend_schema(responses={(200, JSON): shapes.AgentOut, **ACTING})
    def delete(self, request: Request, slug: str, other: str) -> Response:
        """Let it hand over to that one no more, at once."""
        agent = _visible_agent(request, slug)
        changed = services.remove_sub_agent(
            agent_id=agent.pk,
            sub_agent=get_object_or_404(Agent, slug=other),
            by=person_of(request),
        )
        return Response(_agent_body(changed))


class _Act(APIView):
    """Something that one does with an agent; the body is often empty."""

    shape: type[BaseSerializer[Any]] | None = None

    def act(self, request: Request, agent: Agent, given: dict[str, Any]) -> Agent:
        raise NotImplementedError

    def answer(self, request: Request, slug: str) -> Response:
        agent = _visible_agent(request, slug)
        given = given_in(self.shape, request) if self.shape else {}
        return Response(_agent_body(self.act(request, agent, given)))


class Submit(_Act):
    @extend_schema(request=None, responses={(200, JSON): shapes.AgentOut, **ACTING})
    def post(self, request: Request, slug: str) -> Response:
        """Send a draft for review."""
        return self.answer(request, slug)

    def act(self, request: Request, agent: Agent, given: dict[str, Any]) -> Agent:
        return services.submit_for_review(agent_id=agent.pk, by=person_of(request))


class Withdraw(_Act):
    @extend_schema(request=None, responses={(200, JSON): shapes.AgentOut, **ACTING})
    def post(self, request: Request, slug: str) -> Response:
        """Take it back from review."""
        return self.answer(request, slug)

    def act(self, request: Request, agent: Agent, given: dict[str, Any]) -> Agent:
        return services.withdraw_from_review(agent_id=agent.pk, by=person_of(request))


class Attest(_Act):
    shape = shapes.ReachDigestIn

    @extend_schema(
        request=shapes.ReachDigestIn, responses={(200, JSON): shapes.AgentOut, **WRITING}
    )
    def post(self, request: Request, slug: str) -> Response:
        """The owner's word: a public or internal agent is live from now on."""
        return self.answer(request, slug)

    def act(self, request: Request, agent: Agent, given: dict[str, Any]) -> Agent:
        return services.attest_agent(agent_id=agent.pk, by=person_of(request), **given)


class Approve(_Act):
    shape = shapes.ReachDigestIn

    @extend_schema(
        request=shapes.ReachDigestIn, responses={(200, JSON): shapes.AgentOut, **WRITING}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Security's word: an agent in review is live from now on."""
        return self.answer(request, slug)

    def act(self, request: Request, agent: Agent, given: dict[str, Any]) -> Agent:
        return services.approve_agent(agent_id=agent.pk, by=person_of(request), **given)


class Suspend(_Act):
    shape = shapes.ReasonIn

    @extend_schema(request=shapes.ReasonIn, responses={(200, JSON): shapes.AgentOut, **WRITING})
    def post(self, request: Request, slug: str) -> Response:
        """The kill switch: from the next decision on everything is denied."""
        return self.answer(request, slug)

    def act(self, request: Request, agent: Agent, given: dict[str, Any]) -> Agent:
        return services.suspend_agent(agent_id=agent.pk, by=person_of(request), **given)


class Resume(_Act):
    @extend_schema(request=None, responses={(200, JSON): shapes.AgentOut, **ACTING})
    def post(self, request: Request, slug: str) -> Response:
        """Start a suspended agent again."""
        return self.answer(request, slug)

    def act(self, request: Request, agent: Agent, given: dict[str, Any]) -> Agent:
        return services.resume_agent(agent_id=agent.pk, by=person_of(request))


class Secret(APIView):
    @extend_schema(request=None, responses={(200, JSON): shapes.SecretOut, **ACTING})
    def post(self, request: Request, slug: str) -> Response:
        """A new client secret, shown once; tokens made with an older one end at once."""
        agent = _visible_agent(request, slug)
        issued = clients.new_secret(agent=agent, by=person_of(request))
        body = shapes.SecretOut({"client_id": issued.client_id, "client_secret": issued.secret})
        return Response(body.data, headers={"Cache-Control": "no-store"})


class AgentCallback(APIView):
    @extend_schema(
        request=shapes.CallbackIn, responses={(200, JSON): shapes.CallbackOut, **WRITING}
    )
    def put(self, request: Request, slug: str) -> Response:
        """Say where this agent is told what became of its access requests."""
        client = getattr(_visible_agent(request, slug), "client", None)
        return _callback(request, client)


class GatewayCallback(APIView):
    @extend_schema(
        request=shapes.CallbackIn, responses={(200, JSON): shapes.CallbackOut, **WRITING}
    )
    def put(self, request: Request, slug: str) -> Response:
        """Say where this gateway is told what became of its access requests."""
        permissions.check_can_change_gateways(person_of(request))
        return _callback(request, Client.objects.filter(gateway__slug=slug).first())


def _callback(request: Request, client: Client | None) -> Response:
    if client is None:
        raise NotFound("There is no client yet. Make it a secret first.")
    given = given_in(shapes.CallbackIn, request)
    issued = clients.set_callback(client=client, url=given["url"], by=person_of(request))
    body = shapes.CallbackOut(
        {"client_id": issued.client_id, "url": given["url"], "callback_key": issued.secret}
    )
    return Response(body.data, headers={"Cache-Control": "no-store"})
