# SPDX-License-Identifier: Apache-2.0
"""sponson.mcp, against the shape of the SDK's abstract class and of its session manager, in mcp_sdk/."""
import pathlib
import sys

import pytest

import sponson
from stage import aio

sys.path.insert(0, str(pathlib.Path(__file__).parent / "mcp_sdk"))
import sponson.mcp  # noqa: E402
from mcp.types import JSONRPCMessage  # noqa: E402


def message(text):
    return JSONRPCMessage({"jsonrpc": "2.0", "method": "note", "params": {"text": text}})


async def replay(store, event_id):
    got = []

    async def take(event):
        got.append((event.message.content["params"]["text"], event.event_id))

    return await store.replay_events_after(event_id, take), got


@aio
async def test_later_messages_of_the_same_stream_are_replayed(stage):
    async with sponson.connect() as client:
        store = sponson.mcp.EventStore(client).scoped("one")
        ids = [await store.store_event("a", None)]
        for stream, text in (("a", "1"), ("b", "2"), ("a", "3\r\n\u2028 ü"), ("_GET_stream", "4"), ("a~b", "5")):
            ids.append(await store.store_event(stream, message(text)))
        assert len(set(ids)) == 6 and ids[1].startswith("a~") and ids[5].startswith("a~b~")
        assert await replay(store, ids[0]) == ("a", [("1", ids[1]), ("3\r\n\u2028 ü", ids[3])])
        assert await replay(store, ids[1]) == ("a", [("3\r\n\u2028 ü", ids[3])])
        assert await replay(store, ids[4]) == ("_GET_stream", [])
        assert await replay(store, ids[5]) == ("a~b", [])
        for unknown in ("a~" + "0" * 32, "nothing", "", "a\nb~c", "x" * 5000):
            assert await replay(store, unknown) == (None, [])
        assert await replay(store.scoped("empty"), ids[0]) == (None, [])


@aio
async def test_what_was_stored_outlives_the_process_and_the_daemon(stage):
    async with sponson.connect() as client:
        store = sponson.mcp.EventStore(client, prefix="p-", scope="one")
        first = await store.store_event("a", message("1"))
        stage.kill()
        stage.start()
        second = await store.store_event("a", message("2"))
        assert store.session == "p-one"
    async with sponson.connect() as client:
        store = sponson.mcp.EventStore(client, prefix="p-", scope="one")
        assert await replay(store, first) == ("a", [("2", second)])


@aio
async def test_a_store_without_a_scope_refuses(stage):
    async with sponson.connect() as client:
        store = sponson.mcp.EventStore(client)
        for call in (store.store_event("a", message("1")), replay(store, "a~1")):
            with pytest.raises(RuntimeError, match="no scope"):
                await call
        assert [session async for session in client.sessions()] == []


@aio
async def test_the_manager_gives_each_session_a_scope_of_its_own(stage):
    async with sponson.connect() as client:
        manager = sponson.mcp.SessionManager("app", event_store=sponson.mcp.EventStore(client))
        one, two = manager.new_session(), manager.new_session()
        first = await one.event_store.store_event("_GET_stream", message("one's"))
        await two.event_store.store_event("_GET_stream", message("two's"))
        second = await one.event_store.store_event("_GET_stream", message("one's too"))
        assert await replay(one.event_store, first) == ("_GET_stream", [("one's too", second)])
        assert await replay(two.event_store, first) == (None, [])
        assert len([session async for session in client.sessions("mcp-")]) == 2
        assert sponson.mcp.SessionManager("app").new_session().event_store is None
        with pytest.raises(TypeError, match="event_store: expected"):
            sponson.mcp.SessionManager("app", event_store=object())
