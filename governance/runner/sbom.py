"""`./muster sbom`: what an installation is made of, as CycloneDX made from the hashed requirements.

The same requirements make the same bytes: no time, no random serial number, components in order.
https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from governance.kernel.version import VERSION
from governance.runner.places import PROJECT, CannotStart

RUN_TIME = "requirements.txt"
ENTRY = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\\n]+)(?: ; (?P<marker>[^\\\n]+?))? \\\n"
    r"(?P<hashes>(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.MULTILINE,
)
HASH = re.compile(r"sha256:([0-9a-f]{64})")
HELP = "./muster sbom [FILE]: write what is pinned for run time as CycloneDX 1.6, or print it."


def run(arguments: list[str]) -> int:
    """Print the bill of materials, or write it to the file that is named."""
    if "--help" in arguments:
        print(HELP)
        return 0
    text = bill((PROJECT / RUN_TIME).read_text())
    if not arguments:
        print(text, end="")
        return 0
    try:
        Path(arguments[0]).write_text(text)
    except OSError as error:
        raise CannotStart(f"{arguments[0]} cannot be written: {error.strerror}.") from error
    print(f"{len(json.loads(text)['components'])} packages in {arguments[0]}", file=sys.stderr)
    return 0


def bill(requirements: str) -> str:
    """The bill of a requirements file, as JSON. Raises `CannotStart` where a pin has no hash."""
    components = sorted(_components(requirements), key=lambda each: str(each["bom-ref"]))
    pins = len(re.findall(r"^[A-Za-z0-9._-]+==", requirements, re.MULTILINE))
    if pins != len(components):
        raise CannotStart(f"{RUN_TIME} has {pins} pins, {len(components)} of them with hashes.")
    # A name that follows from what is in it: another one for other requirements.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, hashlib.sha256(requirements.encode()).hexdigest())
    whole = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "muster",
                "name": "muster",
                "version": VERSION,
            }
        },
        "components": components,
        "dependencies": [{"ref": "muster", "dependsOn": [each["bom-ref"] for each in components]}],
    }
    return json.dumps(whole, indent=2) + "\n"


def _components(requirements: str) -> Iterator[dict[str, Any]]:
    for found in ENTRY.finditer(requirements):
        name, version = canonicalize_name(found["name"]), found["version"]
        address = f"pkg:pypi/{name}@{version}"
        # Each file of the release that pip may install, by the hash that it must have.
        files = [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{name}/{version}/",
                "hashes": [{"alg": "SHA-256", "content": each}],
            }
            for each in sorted(HASH.findall(found["hashes"]))
        ]
        marker = found["marker"]
        yield {
            "type": "library",
            "bom-ref": f"{address}#{marker}" if marker else address,
            "name": name,
            "version": version,
            "purl": address,
            "externalReferences": files,
            **({"properties": [{"name": "muster:marker", "value": marker}]} if marker else {}),
        }
