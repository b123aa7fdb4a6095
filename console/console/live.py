"""Server-sent events: what has changed, as soon as it is seen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

POLL_SECONDS = 0.5
"""Between two looks at AWS. Step Functions allows far more (its API quotas), and a change is seen within a second."""
KEEP_ALIVE_LOOKS = 30
"""Looks without a change after which a comment is sent, so that a connection that has died is noticed."""
END = "end"
"""Last event of a stream; the page does not connect again."""

Look = Callable[[], Iterator[tuple[str, Any]]]
"""Looks once: yields the events that are new, `END` as the last one of all."""


def stream(look: Look) -> StreamingResponse:
    """Return a response that looks again and again and sends what is new, until `END` or until nobody listens."""
    return StreamingResponse(_events(look), media_type="text/event-stream")


async def _events(look: Look) -> AsyncIterator[str]:
    quiet = 0
    while True:
        found = await run_in_threadpool(lambda: list(look()))
        quiet = 0 if found else quiet + 1
        for name, data in found:
            yield f"event: {name}\ndata: {json.dumps(data)}\n\n"
            if name == END:
                return
        if quiet >= KEEP_ALIVE_LOOKS:
            quiet = 0
            yield ": still here\n\n"
        await asyncio.sleep(POLL_SECONDS)
