# SPDX-License-Identifier: Apache-2.0
import uuid

from mcp.server.streamable_http import StreamableHTTPServerTransport


class StreamableHTTPSessionManager:
    def __init__(self, app, event_store=None):
        self.app = app
        self.event_store = event_store

    def new_session(self):
        return StreamableHTTPServerTransport(mcp_session_id=uuid.uuid4().hex, event_store=self.event_store)
