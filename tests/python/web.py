# SPDX-License-Identifier: Apache-2.0
"""Apps as they are served by uvicorn, and event streams as they are read by httpx."""
import asyncio
import contextlib
import socket

import pytest

import sponson
from stage import WAIT_S

httpx = pytest.importorskip("httpx", reason="python3-httpx is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="python3-uvicorn is not installed")
pytest.importorskip("starlette", reason="python3-starlette is not installed")


@contextlib.asynccontextmanager
async def served(app, lifespan="off"):
    """A client of the app, on a port of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan=lifespan))
    server.install_signal_handlers = lambda: None
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    host, port = listening.getsockname()
    try:
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=WAIT_S) as http:
            yield http
    finally:
        server.should_exit = True
        await serving
        listening.close()


async def events_of(http, name, count, after=None):
    """So many events of the stream, or all; the last id is that of a browser."""
    parser = sponson.SseParser()
    headers = {} if after is None else {"Last-Event-ID": after}
    events = []
    async with http.stream("GET", f"/{name}", headers=headers) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        assert "content-length" not in answer.headers
        async for part in answer.aiter_bytes():
            for event in parser.feed(part):
                events += [event] if event.kind == "event" else []
                if len(events) == count:
                    return events, parser.last_id
    return events, parser.last_id
