"""Roles and relationships over REST."""

from __future__ import annotations

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from authz import selectors, services
from authz.api import shapes
from authz.models import Relationship, Role
from governance.kernel.errors import Conflict
from registry.api.operations import (
    ACTING,
    JSON,
    LISTING,
    READING,
    SEARCHING,
    WRITING,
    Listed,
    answer_saved,
    given_in,
    person_of,
    query_of,
    waiting_answer,
)

_ROLE_WAITING = waiting_answer("Role", shapes.RoleOut)
_RELATIONSHIP_WAITING = waiting_answer("Relationship", shapes.RelationshipShape)


def _roles() -> QuerySet[Role]:
    return Role.objects.prefetch_related("tools", "agents", "people").order_by("slug")


class Roles(Listed):
    @extend_schema(
        operation_id="roles_list",
        responses={(200, JSON): shapes.RoleOut(many=True), **LISTING},
    )
    def get(self, request: Request) -> Response:
        """Roles, by slug."""
        person_of(request)
        return self.page(request, _roles(), shapes.RoleOut)

    @extend_schema(
        request=shapes.NewRoleIn,
        responses={(201, JSON): shapes.RoleOut, **_ROLE_WAITING, **WRITING},
    )
    def post(self, request: Request) -> Response:
        """Make a role. What gives someone more than they have is proposed, and answered 202."""
        given = given_in(shapes.NewRoleIn, request)
        by = person_of(request)
        if Role.objects.filter(slug=given["slug"]).exists():
            raise Conflict("A role of this name is there. Change it with PATCH.")
        return answer_saved(services.save_role(by=by, **given), shapes.RoleOut, created=True)


class OneRole(APIView):
    @extend_schema(responses={(200, JSON): shapes.RoleOut, **READING})
    def get(self, request: Request, slug: str) -> Response:
        """One role."""
        person_of(request)
        return Response(shapes.RoleOut(get_object_or_404(_roles(), slug=slug)).data)

    @extend_schema(
        request=shapes.RoleIn,
        responses={(200, JSON): shapes.RoleOut, **_ROLE_WAITING, **WRITING},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change a role. What gives someone more is proposed, and answered 202."""
        by = person_of(request)
        get_object_or_404(Role, slug=slug)
        given = given_in(shapes.RoleIn, request)
        return answer_saved(services.save_role(slug=slug, by=by, **given), shapes.RoleOut)


class Relationships(Listed):
    @extend_schema(
        operation_id="relationships_list",
        parameters=[shapes.RelationshipQuery],
        responses={(200, JSON): shapes.RelationshipShape(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Relationships, by thing."""
        person_of(request)
        asked = query_of(shapes.RelationshipQuery, request)
        rows = selectors.relationships_listed(asked.get("q", ""), asked.get("relation", ""))
        return self.page(request, rows, shapes.RelationshipShape)

    @extend_schema(
        request=shapes.RelationshipShape,
        responses={
            (200, JSON): shapes.RelationshipShape,
            (201, JSON): shapes.RelationshipShape,
            **_RELATIONSHIP_WAITING,
            **WRITING,
        },
    )
    def post(self, request: Request) -> Response:
        """Add one; said twice is said once. What a policy in force reads is answered 202."""
        given = given_in(shapes.RelationshipShape, request)
        saved = services.save_relationship(by=person_of(request), **given)
        return answer_saved(saved, shapes.RelationshipShape, created=saved.created)


class OneRelationship(APIView):
    @extend_schema(
        responses={
            (200, JSON): shapes.RelationshipShape,
            **_RELATIONSHIP_WAITING,
            **ACTING,
        }
    )
    def delete(self, request: Request, pk: int) -> Response:
        """Take one back. What a policy in force reads is answered 202."""
        by = person_of(request)
        row = get_object_or_404(Relationship, pk=pk)
        given = shapes.RelationshipShape(row).data
        given.pop("id")
        saved = services.remove_relationship(by=by, **given)
        return answer_saved(saved, shapes.RelationshipShape)
