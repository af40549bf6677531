"""The hashes by which the verifier's page lets its own script and style run, and nothing else.

`python -m tests.client.stamp` writes them into the page, after a change of it.
"""

import base64
import hashlib
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "client" / "muster_client" / "verify.html"


def stamped(page: str) -> str:
    """The page with the right hashes in its policy."""
    for part in ("script", "style"):
        (body,) = re.findall(f"<{part}>(.*?)</{part}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        page = re.sub(f"{part}-src 'sha256-[^']*'", f"{part}-src 'sha256-{digest}'", page, count=1)
    return page


if __name__ == "__main__":
    PAGE.write_text(stamped(PAGE.read_text()))
