"""The verifier's page: from the disk, without a network, it says what the Python file says."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, BrowserContext, Page

from client.muster_client import verify
from tests import public
from tests.client import made
from tests.client.made import RECEIPTS, SIGNER, Log, Signer
from tests.client.stamp import PAGE, stamped
from tests.client.test_verify import (
    CHANGES,
    DROPS,
    RFC_8032,
    certificate,
    dropped,
    log_of_drops,
)
from tests.lifecycle.browsing import WIDE, shot

pytestmark = pytest.mark.browser

KEYS = f"{SIGNER.vkey}\n{RECEIPTS.vkey}\n"


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that is offline, and lists whatever is asked of a network all the same."""
    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 900})
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    yield context
    context.close()
    assert {url.partition(":")[0] for url in asked} == {"file"}


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(PAGE.as_uri())
    yield page
    page.close()
    assert said == []


def test_the_policy_lets_only_this_script_run() -> None:
    assert PAGE.read_text() == stamped(PAGE.read_text())
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", PAGE.read_text())


# Numbers go as text: those of the vectors reach beyond what JSON keeps in a browser.
SAYS = """vectors => {
  const v = musterVerify, raw = (text) => v.bytesOf(text || "");
  return vectors.map(([kind, d]) => {
    const proof = (d.proof || []).map(raw), both = [raw(d.root1), raw(d.root2)];
    const span = [d.start, d.end], leaf = raw(d.leafHash), root = raw(d.root);
    if (kind === "inclusion") return v.verifyInclusion(d.leafIdx, d.treeSize, leaf, proof, root);
    if (kind === "consistency") return v.verifyConsistency(d.size1, d.size2, ...both, proof);
    if (kind === "subtreeinclusion")
      return v.verifySubtreeInclusion(d.leafIdx, span, leaf, proof, root);
    return v.verifySubtreeConsistency(span, d.size, ...both, proof);
  });
}"""


def test_vectors_of_others(page: Page) -> None:
    vectors = [
        json.loads(line)
        for line in public.path("tlog/transparency_dev_vectors.jsonl").read_text().splitlines()
    ]
    asked = [
        (
            each["name"].split("/")[1],
            {name: str(v) if type(v) is int else v for name, v in each["data"].items()},
        )
        for each in vectors
    ]

    said = page.evaluate(SAYS, asked)

    wanted = [not each["data"]["wantErr"] for each in vectors]
    assert said == wanted
    assert len(said) == 518


def test_ed25519_of_the_rfc(page: Page) -> None:
    says = """([key, message, signature]) => {
      const raw = (hex) => Uint8Array.from(hex.match(/../g) || [], (pair) => parseInt(pair, 16));
      return musterVerify.verifyEd25519(raw(key), raw(message), raw(signature));
    }"""
    for secret, message, signature in RFC_8032:
        private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
        key = private.public_key().public_bytes_raw().hex()
        more = (int.from_bytes(bytes.fromhex(signature)[32:], "little") + verify.ORDER).to_bytes(
            32, "little"
        )
        assert page.evaluate(says, [key, message, signature]) is True
        assert page.evaluate(says, [key, message + "00", signature]) is False
        assert page.evaluate(says, [key, message, signature[:64] + more.hex()]) is False


# The same sentences

CHECK = """async ([files, keys, kept, now, part, first]) => {
  const given = { keys: musterVerify.readKeys(keys), kept, checkpoint: now, part, first };
  const found = files.map(([name, text]) => new File([text], name));
  return (await musterVerify.check(found, given)).asJson();
}"""


def scenarios(folder: Path) -> Iterator[dict[str, Any]]:
    log, small, forged = Log(20), Log(25), Log(20, Signer(seed=9))
    kept, now = log.checkpoint(8), log.checkpoint()
    for at, (change, _) in enumerate(CHANGES.values()):
        yield {
            "files": [log.export(folder / f"c{at}", change=change)],
            "kept": kept,
            "now": now,
        }
    drops = log_of_drops()
    for at, places in enumerate(DROPS):
        yield {
            "files": [drops.export(folder / f"d{at}", change=dropped(*places))],
            "kept": drops.checkpoint(8),
            "now": drops.checkpoint(),
        }
    yield {
        "files": [drops.export(folder / "few", 0, 6, dropped(2, 3), checkpoint=drops.checkpoint())],
        "first": True,
        "part": True,
    }
    whole = log.export(folder / "whole", checkpoint=now)
    promise = folder / "promise.json"
    promise.write_text(json.dumps({"context": {"receipt": made.receipt(log, 5, [4, 5, 6])}}))
    proof = folder / "one.tlog-proof"
    proof.write_text(log.proof(13))
    lost = Log(5)
    for number in range(6, 20):
        lost.append(made.columns(number))
    part = log.export(folder / "part", 10, 20, consistency=log.growth(8))
    other = folder / "other.tlog-proof"
    other.write_text(log.proof(13).replace("index 13", "index 12"))
    yield {"files": [whole], "kept": kept}
    yield {"files": [whole]}
    yield {"files": [whole], "first": True}
    yield {"files": [whole], "kept": small.checkpoint()}
    yield {"files": [whole], "kept": Log(20, Signer(seed=9)).checkpoint()}
    yield {"files": [forged.export(folder / "forged")], "kept": kept, "now": forged.checkpoint()}
    yield {"files": [part], "kept": kept, "now": now, "part": True}
    yield {"files": [part], "kept": kept, "now": now}
    yield {"files": [part], "kept": log.checkpoint(9), "now": now, "part": True}
    yield {"files": [log.choice(folder / "choice", [1, 7])], "now": now, "part": True}
    yield {"files": [promise]}
    yield {"files": [promise, proof]}
    yield {"files": [proof], "kept": now}
    yield {"files": [other]}
    yield {"files": [promise, whole], "kept": kept}
    newer, published = Log(20, Signer(seed=7)), folder / "keys"
    published.write_text(
        certificate("checkpoint", newer.signer, SIGNER)
        + "\n"
        + certificate("checkpoint", Signer(seed=8), Signer(seed=8))
    )
    rotated = newer.export(folder / "rotated", checkpoint=newer.checkpoint())
    yield {"files": [rotated], "kept": kept, "published": published}
    yield {"files": [promise, lost.export(folder / "lost")], "now": lost.checkpoint()}


def test_the_page_says_what_the_python_file_says(page: Page, tmp_path: Path) -> None:
    verdicts = set()
    for each in scenarios(tmp_path):
        flags = {name: each.get(name, False) for name in ("part", "first")}
        kept, now = each.get("kept", ""), each.get("now", "")
        more = [each["published"]] if "published" in each else []
        given = verify.Given(verify.read_keys(KEYS), kept, now, **flags)
        given = replace(given, published="".join(path.read_text() for path in more))
        wanted = verify.check(each["files"], given)
        files = [(path.name, path.read_text()) for path in [*each["files"], *more]]

        told = page.evaluate(CHECK, [files, KEYS, kept, now, flags["part"], flags["first"]])

        assert told == wanted.as_json()
        verdicts.add(told["verdict"])
    assert verdicts == {verify.HOLDS, verify.BROKEN, verify.OPEN}


def test_json_that_says_a_thing_twice_is_refused(page: Page) -> None:
    reads = (
        """text => { try { musterVerify.readJson(text); return true; } catch { return false; } }"""
    )
    for text in (
        '{"a":1}', '{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', '{"a":NaN}', '{"a":01}', "[1]", "{} x",
        '{"a":"\\u0061\\ud800","b":[1.5,-2e3,true,null]}', '{"a":"\n"}', '{"a":1,}', "",
    ):  # fmt: skip
        try:
            verify.read_json(text.encode())
            wanted = True
        except verify.Unreadable:
            wanted = False
        assert page.evaluate(reads, text) is wanted, text


# By hand


def test_a_person_checks_a_record(page: Page, tmp_path: Path) -> None:
    log = Log(30)
    kept, now = tmp_path / "kept.txt", tmp_path / "now.txt"
    kept.write_text(log.checkpoint(8))
    now.write_text(log.checkpoint())
    good = log.export(tmp_path / "muster-proof.jsonl")
    bad = log.export(tmp_path / "bad.jsonl", change=CHANGES["a byte of a body"][0])

    page.get_by_label("The key that you noted").fill(SIGNER.vkey)
    page.locator('[data-pick="kept"]').set_input_files(kept)
    page.locator('[data-pick="now"]').set_input_files([good, now])
    page.get_by_role("button", name="Check the record").click()
    page.get_by_role("heading", name="The record holds.").wait_for()
    shot(page, "verify-holds")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the report").click()
    assert json.loads(Path(download.value.path()).read_text())["verdict"] == "holds"

    page.get_by_role("button", name="Take it away").nth(1).click()
    _drop(page, bad)
    page.get_by_role("button", name="Check the record").click()
    page.get_by_role("heading", name="The record does not hold.").wait_for()
    assert page.get_by_text("Entry 7: the leaf is not the hash of the body.").is_visible()
    page.emulate_media(color_scheme="dark")
    shot(page, "verify-broken-dark")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate(WIDE) == 0
    shot(page, "verify-phone-dark")
    page.emulate_media(color_scheme="light")


def _drop(page: Page, path: Path) -> None:
    raw = base64.b64encode(path.read_bytes()).decode()
    page.evaluate(
        """([name, raw]) => {
          const data = new DataTransfer();
          data.items.add(new File([musterVerify.bytesOf(raw)], name));
          const more = { dataTransfer: data, bubbles: true, cancelable: true };
          document.querySelector('[data-drop="now"]').dispatchEvent(new DragEvent("drop", more));
        }""",
        [path.name, raw],
    )
