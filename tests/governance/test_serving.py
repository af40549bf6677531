"""More processes of an installation: what must be there first, and where the database is."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from governance.runner import database, serving
from governance.runner.places import CannotStart


def test_without_keys_and_logins_nothing_is_served(tmp_path: Path) -> None:
    with pytest.raises(CannotStart) as refused:
        serving.run(["web", "--data", str(tmp_path)])

    missing = "logins.json, keys/secret_key, keys/vault_kek, keys/receipt_key, keys/origin"
    assert str(refused.value) == (
        f"{tmp_path} has no {missing}. Bring the folder keys/ and logins.json from the first"
        " host; a new installation is started with ./muster up."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_second_host_is_told_where_the_database_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    (tmp_path / "keys").mkdir()
    for name in serving.BROUGHT:
        (tmp_path / name).write_text("{}")

    with pytest.raises(CannotStart, match="Name the database of the first host in DATABASE_URL"):
        serving.run(["worker", "--data", str(tmp_path)])


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgres://postgres@db1,db2/muster", {"host": "db1,db2", "port": ","}),
        ("postgres://postgres@db1:1,db2:2/muster", {"host": "db1,db2", "port": "1,2"}),
        ("postgres://postgres@/muster?host=/a,/b", {"host": "/a,/b"}),
        ("postgres://postgres@/muster?host=/a&port=7", {"host": "/a", "port": "7"}),
        ("postgres://postgres@db1:5433/muster", {"host": "db1", "port": "5433"}),
    ],
)
def test_every_login_is_told_of_all_servers(url: str, wanted: dict[str, str]) -> None:
    joined = "&" if "?" in url else "?"
    found = database.external(f"{url}{joined}target_session_attrs=read-write")

    told = conninfo_to_dict(found.url("muster_web", "a/b,c"))

    who = {"user": "muster_web", "password": "a/b,c", "dbname": "muster"}
    assert told == {**who, **wanted, "target_session_attrs": "read-write"}


@pytest.mark.parametrize(
    "url", ["postgres://u:hunter2/hunter2@h/db", "hunter2", "postgres://u:s%zzhunter2@h/db"]
)
def test_an_address_that_is_misread_is_not_repeated(url: str) -> None:
    with pytest.raises(CannotStart) as refused:
        database.external(url)

    assert str(refused.value) == database.NO_URL
