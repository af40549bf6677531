"""What this service speaks: its schemas, its resource types and what it can do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Union
from uuid import UUID

from django.conf import settings
from scim2_models import (
    BulkRequest,
    BulkResponse,
    ListResponse,
    Resource,
    ResourceType,
    ResponseParameters,
    Schema,
    ScimPolicy,
    ScimProvider,
    SearchRequest,
    ServiceProviderConfig,
)
from scim2_server.service import ScimService
from scim2_server.utils import load_default_resource_types, load_default_schemas

PATH = "/scim/v2"
USER, GROUP = "User", "Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
# The form of name that directories let their administrators map attributes to.
OURS = "urn:ietf:params:scim:schemas:extension:muster:2.0:User"
MAX_BYTES = 2 * 1024 * 1024
MAX_BULK_BYTES = 1024 * 1024
MAX_OPERATIONS = 200
MAX_RESULTS = 200
_OF_ONE: tuple[Any, ...] = (ResponseParameters, SearchRequest)
_OF_ALL: tuple[Any, ...] = (BulkRequest, BulkResponse, ListResponse, SearchRequest)
_held: set[type] = set()

_EXTENSION: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
    "id": OURS,
    "name": "Muster",
    "description": "What Muster asks of a directory beyond the standard",
    "attributes": [
        {
            "name": "lastDay",
            "type": "string",
            "multiValued": False,
            "description": "The last day on which this person works here: a date, or a "
            "time of which the date counts as it is written",
            "caseExact": False,
            "required": False,
            # One that shows the form: a suggestion, as RFC 7643 section 7 has it.
            "canonicalValues": ["2099-12-31"],
            "mutability": "readWrite",
            "returned": "default",
            "uniqueness": "none",
        }
    ],
}


# What a directory says of somebody beyond what is known here is left out (RFC 7644 lets it, and
# maps of attributes have such), and noted in its log; a PATCH of it is refused, as it means one.
_LEAVING_OUT = ScimPolicy(unknown=ScimPolicy.Unknown.ignore)


class Service(ScimService):
    """The protocol; a resource that comes whole may say more than is known here."""

    def read_creation(
        self, resource_type: ResourceType, body: bytes, content_type: str | None
    ) -> Resource[Any]:
        """Read what a POST makes."""
        with _LEAVING_OUT:
            return super().read_creation(resource_type, body, content_type)

    def read_replacement(
        self, resource_type: ResourceType, body: bytes, content_type: str | None
    ) -> Resource[Any]:
        """Read what a PUT puts in its place."""
        with _LEAVING_OUT:
            return super().read_replacement(resource_type, body, content_type)


def base_url() -> str:
    """The address of the service, as its clients see it."""
    return f"{settings.MUSTER_BASE_URL}{PATH}"


@cache
def service() -> Service:
    """The protocol, once for this process; it holds no state."""
    schemas = [*load_default_schemas().values(), Schema.model_validate(_EXTENSION)]
    made = Service(ScimProvider.from_discovery(schemas, _resource_types(), _config()))
    _held.update(_shapes(made))
    return made


def _shapes(made: ScimService) -> Iterator[type]:
    """The models of what is asked and answered.

    Pydantic forgets one that nobody holds, and made it anew for the next request.
    """
    models = made.get_models()
    yield from (kind[model] for kind in _OF_ONE for model in models)
    yield from (kind[Union[tuple(models)]] for kind in _OF_ALL)  # noqa: UP007


def model_of(resource_type: str) -> Any:
    """The model of a resource type, its extensions included."""
    return service().get_model(service().get_resource_type(resource_type))


def uuid_of(value: Any) -> UUID | None:
    """The id of a resource, in the one form in which it is given out; None for anything else."""
    try:
        found = UUID(str(value))
    except ValueError:
        return None
    return found if str(found) == value else None


def _resource_types() -> list[ResourceType]:
    types = []
    for each in load_default_resource_types().values():
        said = each.model_dump()
        if each.name == USER:
            said["schemaExtensions"].append({"schema": OURS, "required": False})
        types.append(ResourceType.model_validate(said))
    return types


def _config() -> ServiceProviderConfig:
    return ServiceProviderConfig.model_validate(
        {
            "documentationUri": "https://datatracker.ietf.org/doc/html/rfc7644",
            "patch": {"supported": True},
            "bulk": {
                "supported": True,
                "maxOperations": MAX_OPERATIONS,
                "maxPayloadSize": MAX_BULK_BYTES,
            },
            "filter": {"supported": True, "maxResults": MAX_RESULTS},
            "changePassword": {"supported": False},
            "sort": {"supported": True},
            "etag": {"supported": True},
            "authenticationSchemes": [
                {
                    "type": "oauthbearertoken",
                    "name": "Bearer token",
                    "description": "The token of a source, as a platform admin was shown it once",
                    "specUri": "https://datatracker.ietf.org/doc/html/rfc6750",
                    "primary": True,
                }
            ],
        }
    )
