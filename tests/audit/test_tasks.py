"""The one periodic job of the record."""

from typing import Any

import pytest

from audit import tasks


@pytest.mark.django_db
def test_make_next_partition_changes_nothing_where_all_is_there(
    as_owner: Any, mark: Any, records_after: Any
) -> None:
    before = mark()
    with as_owner() as cursor:
        cursor.execute("GRANT EXECUTE ON FUNCTION audit.make_next_partition(int) TO muster_web")

    assert [tasks.make_next_partition(), tasks.make_next_partition()] == [0, 0]
    assert records_after(before) == []
