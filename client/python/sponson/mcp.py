# SPDX-License-Identifier: Apache-2.0
"""For the MCP Python SDK: an event store that outlives the process, so that clients resume after what they got.

    store = sponson.mcp.EventStore(client)
    manager = sponson.mcp.SessionManager(app, event_store=store)

The SDK's own manager hands one store to all MCP sessions, and the ids of their streams are the same in each. So the
store needs a scope: SessionManager gives each MCP session one of its own, and a store without one raises.
"""
from __future__ import annotations

import uuid
from typing import Any

from mcp.server import streamable_http
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.types import JSONRPCMessage

from ._aio import Client
from ._errors import BadIdError, TrimmedError, UnknownIdError, UnknownSessionError
from ._producer import Producer
from ._records import Event


class _Shared:
    """What the scopes of a store have in common."""

    def __init__(self, client: Client, prefix: str) -> None:
        self.client = client
        self.prefix = prefix
        self.producer: Producer | None = None

    async def open(self) -> Producer:
        if self.producer is None:
            producer = await self.client.producer()
            if self.producer is None:
                self.producer = producer
            else:  # another task was faster
                await producer.aclose(0)
        return self.producer


class EventStore(streamable_http.EventStore):
    """Stores the messages of one MCP session in a session of Sponson: `prefix` and the scope. An event's id is
    `<stream id>~<random>`, so that it names its stream."""

    def __init__(self, client: Client, *, prefix: str = "mcp-", scope: str | None = None) -> None:
        self._shared = _Shared(client, prefix)
        self._scope = scope

    def scoped(self, scope: str) -> EventStore:
        """The store of one MCP session."""
        store = EventStore(self._shared.client, scope=scope)
        store._shared = self._shared
        return store

    @property
    def session(self) -> str:
        """The session of Sponson."""
        if not self._scope:
            raise RuntimeError(
                "this event store has no scope, and would mix the streams of all MCP sessions: use "
                "sponson.mcp.SessionManager, or scoped()"
            )
        return self._shared.prefix + self._scope

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Returns when it is on disk. A message that is None only gives a place to resume after."""
        session = self.session
        data = "" if message is None else _write(message)
        event_id = f"{stream_id}~{uuid.uuid4().hex}"
        producer = await self._shared.open()
        await producer.publish(session, data, id=event_id)
        return event_id

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        """Sends the later messages of that event's stream. Returns the stream; None: nobody knows the id."""
        stream_id, found, _ = last_event_id.rpartition("~")
        session = self.session
        if not found:
            return None
        later = []
        try:
            async for event in self._shared.client.replay(session, last_event_id):
                if event.data and event.id.rpartition("~")[0] == stream_id:
                    later.append(event)
        except (BadIdError, TrimmedError, UnknownIdError, UnknownSessionError):
            return None
        for event in later:
            await send_callback(streamable_http.EventMessage(_read(event), event.id))
        return stream_id


class SessionManager(StreamableHTTPSessionManager):
    """The SDK's session manager, whose transports each get the store with a scope of its own."""

    @property
    def event_store(self) -> EventStore | None:
        store: EventStore | None = self.__dict__.get("_store")
        return store.scoped(uuid.uuid4().hex) if store is not None else None

    @event_store.setter
    def event_store(self, store: EventStore | None) -> None:
        if store is not None and not isinstance(store, EventStore):
            raise TypeError(f"event_store: expected a sponson.mcp.EventStore, not {type(store).__name__}")
        self.__dict__["_store"] = store


def _write(message: Any) -> str:
    text: str = message.model_dump_json(by_alias=True, exclude_none=True)
    return text


def _read(event: Event) -> Any:
    """In some versions of the SDK a message is a model, in others a union of models."""
    if hasattr(JSONRPCMessage, "model_validate_json"):
        return JSONRPCMessage.model_validate_json(event.data)
    import pydantic

    return getattr(pydantic, "TypeAdapter")(JSONRPCMessage).validate_json(event.data)
