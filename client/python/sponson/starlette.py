# SPDX-License-Identifier: Apache-2.0
"""For Starlette and FastAPI: a response that is a session.

    @app.get("/chats/{name}")
    async def chat(name: str, request: Request):
        return SessionResponse(client, f"chat-{name}")

A browser's EventSource that reads it comes back after a dropped connection with the last id that it got, and goes
on after it. The lines beside the session's events are those of sponson-http: an id without data that says where the
stream begins, `sponson-gap`, `sponson-reset` and `sponson-end`. A closed session ends its streams; whoever comes
back after its last event gets 204, which stops a browser.
"""
from __future__ import annotations

import asyncio
import json
from typing import Any, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ._aio import Client
from ._errors import InvalidError
from ._records import Cursor, End, Event, Gap, Item, Otherwise, Verdict
from ._sse import format_sse
from ._subscription import Subscription

VERDICT_S = 1.0  # what waits longer for its session than this is answered without it


def place_of(text: bytes) -> bytes | Cursor:
    """An event's id, or a cursor, which stands for an event without one."""
    try:
        return Cursor.parse(text.decode("latin-1"))
    except InvalidError:
        return text


class SessionResponse(Response):
    """An event stream out of a session.

    after: the place after which it begins, if not that of the request's Last-Event-ID.
    wait: for a session that does not exist yet; else 404.
    restart: with everything that is there, after a sponson-reset, if the place is not retained; else 410.
    heartbeat: seconds without an event after which a comment is sent, so that nobody takes the stream for dead.
    retry_ms: how long a browser waits before it comes back; None: as long as it likes."""

    media_type = "text/event-stream"

    def __init__(
        self,
        client: Client,
        session: str,
        *,
        after: str | bytes | Cursor | None = None,
        wait: bool = True,
        restart: bool = True,
        heartbeat: float = 15.0,
        retry_ms: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            headers={
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                "Content-Length": "0",
                **(headers or {}),
            }
        )
        del self.headers["content-length"]  # it has no end
        self._client = client
        self._session = session
        self._after = after
        self._otherwise: Otherwise = (
            "restart+wait" if restart and wait else "restart" if restart else "wait" if wait else "fail"
        )
        self._heartbeat = heartbeat
        self._retry_ms = retry_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        after = self._after
        if after is None:
            given = dict(scope["headers"]).get(b"last-event-id", b"")
            after = place_of(given) if given else None
        items = self._client.subscribe(self._session, after=after, otherwise=self._otherwise)
        streaming = asyncio.create_task(self._stream(items, after is not None, send))
        gone = asyncio.create_task(_disconnect(receive))
        try:
            await asyncio.wait((streaming, gone), return_when=asyncio.FIRST_COMPLETED)
            if streaming.done():
                streaming.result()
        finally:
            streaming.cancel()
            gone.cancel()
            await asyncio.gather(streaming, gone, return_exceptions=True)
            await items.aclose()
        if self.background is not None:
            await self.background()

    async def _stream(self, items: Subscription[Item], resumes: bool, send: Send) -> None:
        item = await _next(items, VERDICT_S)
        status = _status(item, resumes)
        if status != 200:
            await _start(send, status, [])
            await send({"type": "http.response.body", "body": b""})
            return
        await _start(send, status, self.raw_headers)
        if self._retry_ms is not None:
            await _send(send, format_sse(Event("marker", retry_ms=self._retry_ms)))
        while True:
            await _send(send, b":\n\n" if item is None else _text(item))
            if isinstance(item, End):
                break
            item = await _next(items, self._heartbeat)
        await send({"type": "http.response.body", "body": b""})


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _next(items: Subscription[Item], timeout: float) -> Item | None:
    """None: nothing came in this time."""
    try:
        async with asyncio.timeout(timeout):
            return await items.__anext__()
    except TimeoutError:
        return None


def _status(item: Item | None, resumes: bool) -> int:
    """By the first item."""
    if isinstance(item, End):
        return {"SPN_E_UNKNOWN_SESSION": 404, "SPN_E_UNKNOWN_ID": 410, "SPN_E_OTHER_LIFE": 410}.get(item.why, 503)
    if resumes and isinstance(item, Verdict) and item.state == "closed" and item.seq == item.newest:
        return 204
    return 200


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _send(send: Send, body: bytes) -> None:
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})


def _own(type: str, **data: Any) -> bytes:
    return format_sse(Event(type=type, data=json.dumps(data, separators=(",", ":"))))


def _text(item: Item) -> bytes:
    if isinstance(item, Event):
        return format_sse(item)
    if isinstance(item, Verdict):
        begin = format_sse(Event("marker", id=item.id or str(Cursor(item.life, item.seq))))
        if item.why in ("SPN_E_UNKNOWN_ID", "SPN_E_OTHER_LIFE"):
            return begin + _own("sponson-reset", reason=item.why, missing=item.missing)
        return begin + (_own("sponson-gap", reason="trimmed", missing=item.missing) if item.missing else b"")
    if isinstance(item, Gap):
        return _own("sponson-gap", reason="trimmed", missing=item.missing)
    if isinstance(item, End) and item.why != "SPN_E_CLOSED":
        return _own("sponson-end", reason=item.why)
    return b""
