# SPDX-License-Identifier: Apache-2.0
"""sponson.starlette in the real Starlette and FastAPI, served by uvicorn and read by httpx: resumed, killed,
closed."""
import asyncio
import json

import pytest

import sponson
from stage import aio
from web import events_of, served  # first: the tests are skipped without what it imports

from starlette.applications import Starlette
from starlette.routing import Route

from sponson.starlette import SessionResponse


def app_of(client, **how):
    async def read(request):
        return SessionResponse(client, request.path_params["name"], **how)

    return Starlette(routes=[Route("/{name}", read)])


def fast_app_of(client, **how):
    fastapi = pytest.importorskip("fastapi", reason="python3-fastapi is not installed")
    app = fastapi.FastAPI()

    @app.get("/{name}")
    async def read(name: str):
        return SessionResponse(client, name, **how)

    return app


@pytest.mark.parametrize("make", [app_of, fast_app_of])
@aio
async def test_a_stream_is_resumed_and_ends_with_its_session(stage, make):
    async with sponson.connect() as client, served(make(client)) as http:
        producer = await client.producer()
        events = [sponson.Event(data=f"line\n{i}", id=f"ü{i}", type="t") for i in range(5)]
        await producer.publish_many("s", events)
        events, last = await events_of(http, "s", 2)
        assert [(e.data, e.id, e.type) for e in events] == [("line\n0", "ü0", "t"), ("line\n1", "ü1", "t")]
        reading = asyncio.create_task(events_of(http, "s", None, last.encode()))
        await producer.publish("s", "new")
        await producer.close_session("s")
        events, last = await reading
        assert [e.data for e in events] == ["line\n2", "line\n3", "line\n4", "new"]
        assert (await http.get("/s", headers={"Last-Event-ID": last})).status_code == 204
        assert [e.data for e in (await events_of(http, "s", None))[0]][-1] == "new"


@aio
async def test_a_place_without_an_event_is_a_cursor(stage):
    async with sponson.connect() as client, served(app_of(client, heartbeat=0.01)) as http:
        producer = await client.producer()
        await producer.set_attributes("s", sponson.Attributes())
        life = (await client.last("s")).life
        async with http.stream("GET", "/s") as answer:
            text = b""
            async for part in answer.aiter_bytes():
                text += part
                if b":\n\n" in text:
                    break
        assert text.startswith(f"id: spn:{life}:0\n\n".encode())
        await producer.publish("s", "x")
        events, _ = await events_of(http, "s", 1, f"spn:{life}:0")
        assert [e.data for e in events] == ["x"]


@aio
async def test_what_cannot_begin(stage):
    async with sponson.connect() as client:
        await client.publish("s", "x", id="1")
        async with served(app_of(client, wait=False, restart=False)) as http:
            assert (await http.get("/none")).status_code == 404
            assert (await http.get("/s", headers={"Last-Event-ID": "unknown"})).status_code == 410
            other = f"spn:{'1' * 32}:1"
            assert (await http.get("/s", headers={"Last-Event-ID": other})).status_code == 410
        async with served(app_of(client)) as http:
            events, _ = await events_of(http, "s", 2, "unknown")
            assert [e.type for e in events] == ["sponson-reset", ""] and events[1].data == "x"
            assert json.loads(events[0].data) == {"reason": "SPN_E_UNKNOWN_ID", "missing": 0}


@aio
async def test_it_waits_for_a_session_with_heartbeats(stage):
    async with sponson.connect() as client, served(app_of(client, heartbeat=0.02, retry_ms=70)) as http:
        async with http.stream("GET", "/later") as answer:
            parts = answer.aiter_bytes()
            text = b""
            while text.count(b":\n\n") < 3:
                text += await parts.__anext__()
            assert text.startswith(b"retry: 70\n\n:\n\n")
            await client.publish("later", "x", id="1")
            while b"data: x\n" not in text:
                text += await parts.__anext__()


@aio
async def test_deleted_sessions_and_gaps_are_told(bare):
    bare.start("--retention-events", "2")
    async with sponson.connect() as client, served(app_of(client)) as http:
        producer = await client.producer()
        await producer.publish_many("s", [sponson.Event(data=str(i), id=str(i)) for i in range(10)])
        reading = asyncio.create_task(events_of(http, "s", None))
        while (await client.stats())["sponson_subscriptions"] == 0:
            await asyncio.sleep(0.001)
        await producer.delete_session("s")
        events, _ = await reading
        assert json.loads(events[0].data) == {"reason": "trimmed", "missing": 8}
        assert [e.type for e in events][-1] == "sponson-end"
        assert json.loads(events[-1].data) == {"reason": "SPN_E_DELETED"}


@aio
async def test_a_reader_that_goes_away_is_noticed(stage):
    async with sponson.connect() as client, served(app_of(client)) as http:
        await client.publish("s", "x", id="1")
        for _ in range(20):
            await events_of(http, "s", 1)
        while len(client._subscriptions) > 0 or (await client.stats())["sponson_subscriptions"] > 0:
            await asyncio.sleep(0.001)


@aio
async def test_streams_go_on_when_the_daemon_is_killed(stage):
    async with sponson.connect() as client, served(app_of(client)) as http:
        producer = await client.producer()
        readers = [asyncio.create_task(events_of(http, "s", None)) for _ in range(10)]
        for i in range(9):
            await producer.publish("s", str(i))
            if i % 3 == 0:
                await asyncio.to_thread(stage.kill)
                await asyncio.to_thread(stage.start)
        await producer.close_session("s")
        for events, _ in await asyncio.gather(*readers):
            assert [e.data for e in events] == [str(i) for i in range(9)]
