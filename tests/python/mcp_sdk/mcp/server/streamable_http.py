# SPDX-License-Identifier: Apache-2.0
import abc
import dataclasses

from mcp.types import JSONRPCMessage


@dataclasses.dataclass
class EventMessage:
    message: JSONRPCMessage
    event_id: str | None = None


class EventStore(abc.ABC):
    @abc.abstractmethod
    async def store_event(self, stream_id, message):
        """Returns the id of the event."""

    @abc.abstractmethod
    async def replay_events_after(self, last_event_id, send_callback):
        """Returns the stream's id, or None."""


class StreamableHTTPServerTransport:
    def __init__(self, mcp_session_id, event_store=None):
        self.mcp_session_id = mcp_session_id
        self.event_store = event_store
