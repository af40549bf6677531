"""The files of the signing keys, and the processes that read them."""

import json
import os
import time
from pathlib import Path

import pytest
import time_machine

from registry.identity import keys
from registry.identity.keys import BadKeyFile, Keyring, NoSigningKey

DAY = 24 * 3600


def settle(folder: Path) -> None:
    """Make the folder's change look old: a fresh one is read again every time."""
    past = time.time() - 60
    os.utime(folder / "tokens", (past, past))


def test_ensure_signing_key_makes_one_and_keeps_it(tmp_path: Path) -> None:
    kid = keys.ensure_signing_key(tmp_path)

    path = tmp_path / "tokens" / f"{kid}.json"
    assert keys.ensure_signing_key(tmp_path) == kid
    assert list((tmp_path / "tokens").iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    content = json.loads(path.read_text())
    assert (content["kty"], content["crv"], content["use"]) == ("OKP", "Ed25519", "sig")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_keys_made_by_root_belong_to_the_folder_s_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)

    kid = keys.ensure_signing_key(tmp_path)

    for path in (tmp_path / "tokens", tmp_path / "tokens" / f"{kid}.json"):
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_keys_made_by_a_user_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "chown", lambda *place: given.append(place))

    keys.ensure_signing_key(tmp_path)

    assert given == []


def test_no_key_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(NoSigningKey, match="rotate_token_key"):
        Keyring(tmp_path).signing_key()

    assert keys.public_jwks(Keyring(tmp_path), time.time()) == {"keys": []}


def test_a_new_key_signs_and_the_old_one_verifies_for_a_day(tmp_path: Path) -> None:
    ring = Keyring(tmp_path)
    old = keys.ensure_signing_key(tmp_path)
    assert ring.signing_key().kid == old

    new = keys.make_signing_key(tmp_path)

    made_at = ring.signing_key().made_at
    assert ring.signing_key().kid == new
    assert [key.kid for key in ring.verifying_keys(made_at + DAY - 1)] == [old, new]
    assert [key.kid for key in ring.verifying_keys(made_at + DAY)] == [new]
    shown = keys.public_jwks(ring, made_at)["keys"]
    assert [(key["kid"], key["alg"], key["use"]) for key in shown] == [
        (new, "EdDSA", "sig"),
        (old, "EdDSA", "sig"),
    ]
    assert all("d" not in key and "made_at" not in key for key in shown)


def test_keys_that_verify_nothing_any_more_are_deleted(tmp_path: Path) -> None:
    began = time.time()
    with time_machine.travel(began, tick=False):
        first = keys.ensure_signing_key(tmp_path)
    with time_machine.travel(began + 60, tick=False):
        second = keys.make_signing_key(tmp_path)
    with time_machine.travel(began + 61 + DAY, tick=False):
        third = keys.make_signing_key(tmp_path)

    left = {path.stem for path in (tmp_path / "tokens").iterdir()}
    assert left == {second, third}
    assert first not in left


def test_two_keys_of_one_second_are_still_in_order(tmp_path: Path) -> None:
    with time_machine.travel(time.time(), tick=False):
        kids = [keys.make_signing_key(tmp_path) for _ in range(5)]

    assert [key.kid for key in Keyring(tmp_path).current()[1]] == kids


def test_a_running_process_notices_new_files(tmp_path: Path) -> None:
    ring = Keyring(tmp_path)
    keys.ensure_signing_key(tmp_path)
    settle(tmp_path)
    generation, before = ring.current()
    assert ring.current() == (generation, before)

    kid = keys.make_signing_key(tmp_path)

    assert ring.signing_key().kid == kid
    assert ring.current()[0] == generation + 1


def test_keyring_reads_only_when_the_folder_changed(tmp_path: Path) -> None:
    kid = keys.ensure_signing_key(tmp_path)
    settle(tmp_path)
    ring = keys.keyring(tmp_path)
    ring.current()
    (tmp_path / "tokens" / f"{kid}.json").write_text("no longer a key")

    assert ring.signing_key().kid == kid
    assert keys.keyring(tmp_path) is ring


def test_a_key_made_elsewhere_counts_as_the_oldest(tmp_path: Path) -> None:
    kid = keys.ensure_signing_key(tmp_path)
    path = tmp_path / "tokens" / f"{kid}.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({name: content[name] for name in ("kty", "crv", "x", "d")}))

    newer = keys.make_signing_key(tmp_path)

    assert [key.kid for key in Keyring(tmp_path).current()[1]] == [kid, newer]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"made_at": 5}',
        '{"made_at": 5, "kty": "OKP", "crv": "Ed25519", "x": "AA"}',
        '{"made_at": "soon"}',
    ],
)
def test_a_broken_key_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "broken.json").write_text(content)

    with pytest.raises(BadKeyFile, match=r"broken\.json cannot be read"):
        Keyring(tmp_path).current()


def test_a_key_under_another_name_is_refused(tmp_path: Path) -> None:
    kid = keys.ensure_signing_key(tmp_path)
    path = tmp_path / "tokens" / f"{kid}.json"
    path.rename(path.with_stem("other"))

    with pytest.raises(BadKeyFile, match="not the private Ed25519 key that its name says"):
        keys.ensure_signing_key(tmp_path)


def test_a_draft_signs_nothing_before_it_is_kept(tmp_path: Path) -> None:
    first = keys.ensure_signing_key(tmp_path)

    draft = keys.draft_signing_key(tmp_path)

    assert Keyring(tmp_path).signing_key().kid == first
    keys.keep_signing_key(tmp_path, draft)
    assert Keyring(tmp_path).signing_key().kid == draft.kid


def test_a_key_verifies_before_it_signs(tmp_path: Path) -> None:
    first = keys.make_signing_key(tmp_path)
    draft = keys.draft_signing_key(tmp_path, signs_in=600)
    keys.keep_signing_key(tmp_path, draft)

    ring, now = Keyring(tmp_path), time.time()

    assert ring.signing_key().kid == first
    assert [key.kid for key in ring.verifying_keys(now)] == [first, draft.kid]
    assert ring.current()[1][0].retired_at == draft.signs_from + keys.OVERLAP_SECONDS
    with time_machine.travel(now + 601, tick=False):
        assert ring.signing_key().kid == draft.kid
        # What the older one signed in its last second has long expired by then.
        late = draft.signs_from + keys.OVERLAP_SECONDS
        assert [key.kid for key in ring.verifying_keys(late)] == [draft.kid]
