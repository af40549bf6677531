"""What the MCP gateway adds to a call, beside the same call without it, in one run.

    python -m benchmarks.gateway [CALLS]

Client, gateway, server and a Muster that answers at once run in one process without a network, so
what is measured is the gateway's own work: reading, asking, pinning, reporting, tagging. What
Muster itself takes is in `benchmarks/decisions.py`. Calls go one after another and by turns, and
medians are compared.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from client.muster_client.gateway import upstreams
from tests.client.gateway.reference import Reference, placed

WARM_UP = 20


class Patch:
    """Stands in for pytest's monkeypatch: the process ends with the run."""

    def setattr(self, place: object, name: str, value: object) -> None:
        setattr(place, name, value)


async def timed(client: Client) -> float:
    begun = time.perf_counter()
    await client.call_tool("pay", {"amount": 3})
    return time.perf_counter() - begun


async def run(calls: int) -> tuple[list[float], list[float]]:
    """Seconds of each call, direct and through the gateway."""
    reference = Reference()
    with tempfile.TemporaryDirectory() as folder:
        async with placed(Path(folder), Patch(), reference=reference) as place:
            direct_http: httpx2.AsyncClient = upstreams.create_mcp_http_client()
            way = streamable_http_client("http://127.0.0.1:9000/mcp", http_client=direct_http)
            async with Client(way, cache=None) as direct, place.client() as through:
                for client in (direct, through) * WARM_UP:
                    await timed(client)
                pairs = [(await timed(direct), await timed(through)) for _ in range(calls)]
    return [each[0] for each in pairs], [each[1] for each in pairs]


def main() -> None:
    logging.disable(logging.INFO)
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    direct, through = asyncio.run(run(calls))
    plain, governed = statistics.median(direct), statistics.median(through)
    print(f"direct          {plain * 1000:8.2f} ms")
    print(f"through gateway {governed * 1000:8.2f} ms")
    print(f"ratio           {governed / plain:8.2f}")


if __name__ == "__main__":
    main()
