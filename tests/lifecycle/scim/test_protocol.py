"""The protocol is put together once for a process."""

import gc
import weakref
from typing import Any, Union

import pytest
from scim2_models import (
    BulkRequest,
    BulkResponse,
    ListResponse,
    ResponseParameters,
    SearchRequest,
)

from lifecycle.scim.protocol import service


@pytest.mark.parametrize("kind", [BulkRequest, BulkResponse, ListResponse, SearchRequest])
def test_model_of_what_is_asked_of_all_is_made_once(kind: Any) -> None:
    made = weakref.ref(kind[Union[tuple(service().get_models())]])  # noqa: UP007
    gc.collect()

    assert made() is not None


@pytest.mark.parametrize("kind", [ResponseParameters, SearchRequest])
def test_model_of_what_is_asked_of_one_is_made_once(kind: Any) -> None:
    made = [weakref.ref(kind[model]) for model in service().get_models()]
    gc.collect()

    assert [each() is None for each in made] == [False] * len(made)
