# SPDX-License-Identifier: Apache-2.0
"""The asyncio interface, against the real daemon: every call, every start and verdict, every kind of item."""
import asyncio
import contextlib
import time
import traceback
import uuid

import pytest

import sponson
import sponson.sync
from sponson import Attributes, CaughtUp, Cursor, End, Event, Gap, Verdict, _sponson
from stage import WAIT_S, aio


async def items_until(subscription, kind):
    found = []
    async for item in subscription:
        found.append(item)
        if item.kind == kind:
            return found
    return found


def data_of(items):
    return [item.data for item in items if isinstance(item, Event)]


async def raises(kind, awaitable):
    with pytest.raises(kind) as caught:
        await awaitable
    return caught.value


def raises_now(kind, call, *arguments):
    with pytest.raises(kind) as caught:
        call(*arguments)
    return caught.value


# -- publishing ------------------------------------------------------------------------------------


@aio
async def test_an_event_comes_back_as_it_was_published(stage):
    async with sponson.connect() as client:
        async with await client.producer() as producer:
            ack = await producer.publish("chat", "hello\nworld", id="7", type="token", retry_ms=50, note=b"\0\xff")
            assert ack == (1, "stored", "7", None)
            given = await producer.publish("chat", b"raw \xff bytes", id=b"\xfe")
            assert given.result == "stored"
            assert (await producer.publish("chat", "x")).id.endswith("-3")
        one, two, three = [event async for event in client.replay("chat")]
        assert one[:7] == ("event", "7", "token", "hello\nworld", 50, False, b"\0\xff")
        assert (one.seq, len(one.life), one.closes, one.reason) == (1, 32, False, "")
        assert abs(one.time_ms / 1000 - time.time()) < 60
        assert two.data.encode("utf-8", "surrogateescape") == b"raw \xff bytes"
        assert two.id.encode("utf-8", "surrogateescape") == b"\xfe" and given.id == two.id
        again = await client.publish("copy", two)  # what was read can be published
        assert again.result == "stored" and [e.data async for e in client.replay("copy")] == [two.data]
        assert three.cursor == Cursor(three.life, 3)


@aio
async def test_markers_and_resets(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        assert (await producer.publish("s", Event("marker", id="5"))).id == "5"
        await producer.publish("s", Event("marker", retry_ms=9))
        await producer.publish("s", Event("reset"))
        items = [event async for event in client.replay("s")]
        assert [(e.kind, e.id, e.retry_ms) for e in items] == [
            ("marker", "5", None),
            ("marker", "", 9),
            ("reset", "", None),
        ]
        assert (await client.last("s")).id == ""


@aio
async def test_results_that_are_not_stored_raise(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        await producer.publish("s", "one", id="1")
        assert (await producer.publish("s", "one", id="1")).result == "duplicate"
        error = await raises(sponson.ConflictError, producer.publish("s", "two", id="1"))
        assert (error.code, error.ack.result) == ("SPN_CONFLICT", "conflict")
        error = await raises(sponson.ConditionError, producer.publish("s", "x", if_new=True))
        assert (error.code, error.ack.result, error.ack.ticket) == ("SPN_E_CONDITION", "refused", 4)
        await raises(sponson.UnknownSessionError, producer.publish("none", "x", if_seq=1))
        await raises(sponson.OtherLifeError, producer.publish("s", "x", life="0" * 31 + "1"))
        assert (await producer.publish("s", "x", if_seq=1)).result == "stored"
        last = await producer.publish("s", "end", closes=True, reason="done")
        assert last.result == "stored"
        await raises(sponson.ClosedError, producer.publish("s", "x"))
        assert [(e.closes, e.reason) async for e in client.replay("s")][-1] == (True, "done")
        counters = producer.counters()
        assert (counters.stored, counters.duplicates, counters.conflicts, counters.refused) == (3, 1, 1, 4)


@aio
async def test_what_depends_on_a_refused_event_is_refused(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        await producer.publish("s", "there")
        first = producer.publish("s", "a", if_new=True)
        second = producer.publish("s", "b", depends=first)
        await raises(sponson.ConditionError, first)
        await raises(sponson.DependentError, second)
        await raises(sponson.DependentError, producer.publish("s", "c", depends=first))
        good = await producer.publish("t", "a", if_new=True)
        assert good.result == "stored"
        one = producer.publish("u", "a", if_new=True)
        assert (await producer.publish("u", "b", depends=one)).result == "stored"
        assert (await producer.publish("u", "c", depends=one)).result == "stored"
        await producer.publish("v", "a", id="1")
        conflict = producer.publish("v", "b", id="1")
        await raises(sponson.ConflictError, conflict)
        assert (await producer.publish("v", "c", depends=conflict)).result == "stored"
        assert data_of([e async for e in client.replay("s")]) == ["there"]


@aio
async def test_many(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        acks = await producer.publish_many("s", (str(i) for i in range(5000)))
        assert [ack.ticket for ack in acks] == list(range(1, 5001))
        assert {ack.result for ack in acks} == {"stored"} and acks[9].id.endswith("-10")
        assert data_of([e async for e in client.replay("s")]) == [str(i) for i in range(5000)]
        assert await producer.publish_many("s", []) == []
        mixed = [Event(data="x", id="1"), "y", b"z", Event("marker", id="m")]
        assert [ack.id for ack in await producer.publish_many("t", mixed)][::3] == ["1", "m"]
        error = await raises(
            sponson.ConflictError, producer.publish_many("t", ["w", Event(data="other", id="1"), "v"])
        )
        assert [ack.result for ack in error.acks] == ["stored", "conflict", "stored"]
        error = await raises(sponson.BadDataError, producer.publish_many("u", ["a", "b", "c\rd", "e"]))
        assert [ack.result for ack in error.acks] == ["stored", "stored"] and "events[2]" in error.__notes__[0]
        with pytest.raises(TypeError, match="data: expected str or bytes, not int"):
            await producer.publish_many("u", ["f", 5])
        assert data_of([e async for e in client.replay("u")]) == ["a", "b", "f"]


@aio
async def test_order_is_that_of_the_calls_also_without_room(stage):
    async with sponson.connect() as client:
        producer = await client.producer(window_events=4, window_bytes=1000)
        futures = []
        for i in range(0, 3000, 3):
            futures.append(producer.publish("s", str(i)))
            futures.append(producer.publish_many("s", [str(i + 1), str(i + 2)]))
            if i % 7 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*futures)
        assert data_of([e async for e in client.replay("s")]) == [str(i) for i in range(3000)]


@aio
async def test_results_that_wait_in_the_library_count_in_the_window(stage):
    """The library keeps as many as the window has events."""
    async with sponson.connect() as client:
        producer = await client.producer(window_events=4)
        first = [producer.publish("s", str(i)) for i in range(3)]
        while not producer._core.flush():  # without a turn of the loop
            time.sleep(0.001)
        many = producer.publish_many("s", ["3", "4", "5", "6"])
        while not producer._core.flush():
            time.sleep(0.001)
        assert [ack.ticket for ack in (*await asyncio.gather(*first), *await many)] == list(range(1, 8))


@aio
async def test_without_room_publish_waits_and_can_be_cancelled(stage):
    async with sponson.connect() as client:
        producer = await client.producer(window_events=2)
        stage.stop()
        futures = [producer.publish("s", str(i)) for i in range(6)]
        started = time.monotonic()
        await asyncio.sleep(0.05)
        assert time.monotonic() - started < 1 and not any(future.done() for future in futures)
        futures[3].cancel()
        task = asyncio.create_task(asyncio.wait_for(producer.publish("s", "late"), 0.01))
        await raises(asyncio.TimeoutError, task)
        stage.go_on()
        await asyncio.gather(*futures, return_exceptions=True)
        assert data_of([e async for e in client.replay("s")]) == ["0", "1", "2", "4", "5"]


@aio
async def test_levels(stage):
    async with sponson.connect() as client:
        accepted = await client.producer(level="accepted")
        assert (await accepted.publish("a", "x")).result == "stored"
        none = await client.producer(level="none")
        assert (await none.publish("n", "x")).result == "sent"
        assert [ack.result for ack in await none.publish_many("n", ["y", "z"])] == ["sent", "sent"]
        await none.flush()
        await none.aclose()
        items = client.subscribe("n", otherwise="wait")
        found = [await items.__anext__() for _ in range(4)]
        assert data_of(found) == ["x", "y", "z"][: len(data_of(found))]


@aio
async def test_latest_only_never_waits(stage):
    async with sponson.connect() as client:
        producer = await client.producer(latest_only=True, window_events=2)
        stage.stop()
        for i in range(100):
            ack = await producer.publish("s", str(i))
            assert ack.result == "sent"
        counters = producer.counters()
        assert counters.replaced > 90 and counters.pending == 1
        stage.go_on()
        await producer.flush()
        assert data_of([e async for e in client.replay("s")])[-1] == "99"


@aio
async def test_a_kept_id_fences_its_previous_holder(stage):
    async with sponson.connect() as client:
        mine = uuid.uuid4()
        first = await client.producer(mine)
        await first.publish("s", "x")
        second = await client.producer(mine.bytes)
        assert second.committed == 1 and first.committed == 0
        await raises(sponson.FencedError, publish_until_it_fails(first))
        assert (await second.publish("s", "y")).result == "stored"  # all else goes on
        assert (await client.health()).status == "healthy"
        await first.aclose()


async def publish_until_it_fails(producer):
    while True:
        await producer.publish("s", "late")


@aio
async def test_sessions_are_closed_deleted_touched_and_described(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        given = Attributes(60000, 5000, "text/plain", b"\0note")
        assert (await producer.set_attributes("s", given, if_new=True)).result == "stored"
        await raises(sponson.ConditionError, producer.set_attributes("s", given, if_new=True))
        info = await client.session("s")
        assert (info.session.ttl_ms, info.session.idle_close_ms, info.session.content_type, info.note) == given
        assert (await producer.touch("s")).result == "stored"
        await raises(sponson.UnknownSessionError, producer.touch("none"))
        life = info.session.life
        assert (await producer.close_session("s", life=life, reason="enough")).result == "stored"
        assert (await client.session("s")).session.reason == "enough"
        assert (await producer.close_session("s")).result == "duplicate"
        await raises(sponson.OtherLifeError, producer.delete_session("s", life="0" * 31 + "1"))
        assert (await producer.delete_session("s", life=life)).result == "stored"
        await raises(sponson.UnknownSessionError, client.session("s"))


# -- one-shots -------------------------------------------------------------------------------------


@aio
async def test_one_shots(stage):
    async with sponson.connect() as client:
        done = await client.publish("s", "x", id="1", if_new=True, type="t", note=b"n", retry_ms=3)
        assert (done.result, done.seq, done.state, done.id, len(done.life)) == ("stored", 1, "live", "1", 32)
        assert (await client.publish("s", "x", id="1", if_new=True, type="t")).result == "duplicate"
        lost = await raises(sponson.ConditionError, client.publish("s", "y", id="2", if_new=True))
        assert (lost.ack.life, lost.ack.seq, lost.ack.state) == (done.life, 1, "live")
        await raises(sponson.BadIdError, client.publish("s", "without an id"))
        await raises(sponson.InvalidError, client.publish("s", "x", id="3", level="none"))
        assert (await client.publish("s", "y", id="2", level="accepted", if_seq=1)).seq == 2
        assert (await client.touch("s", life=done.life)).result == "stored"
        assert (await client.set_attributes("s", Attributes(content_type="a/b"))).result == "stored"
        assert (await client.close_session("s", reason="r")).state == "closed"
        assert (await client.delete_session("s", life=done.life)).life == done.life
        await raises(sponson.UnknownSessionError, client.delete_session("s", life=done.life))


# -- reading ---------------------------------------------------------------------------------------


@aio
async def test_every_start(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        await producer.publish_many("s", [Event(data=str(i), id=f"i{i}") for i in range(5)])
        life = (await client.last("s")).life

        async def begin(**how):
            items = await items_until(client.subscribe("s", **how), "caught_up")
            return items[0], data_of(items)

        verdict, data = await begin()
        assert (verdict.start, verdict.why, data) == ("earliest", None, ["0", "1", "2", "3", "4"])
        verdict, data = await begin(after="i2")
        assert (verdict.start, verdict.after, verdict.seq, verdict.id, data) == ("id", "i2", 3, "i2", ["3", "4"])
        verdict, data = await begin(after=Cursor(life, 4))
        assert (verdict.start, verdict.after_life, verdict.after_seq, data) == ("seq", life, 4, ["4"])
        assert await begin(after=Cursor.parse(f"spn:{life}:4")) == (verdict, data)
        verdict, data = await begin(start="now")
        assert (verdict.start, verdict.seq, verdict.newest, data) == ("now", 5, 5, [])


@aio
async def test_every_verdict_and_end(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        await producer.publish_many("s", ["a", "b"])

        async def only(session="s", **how):
            return [item async for item in client.subscribe(session, **how)]

        (end,) = await only("none")
        assert isinstance(end, End) and end.why == "SPN_E_UNKNOWN_SESSION"
        (end,) = await only(after="nothing")
        assert (end.why, end.missing) == ("SPN_E_UNKNOWN_ID", 0)
        (end,) = await only(after=Cursor("0" * 31 + "1", 1))
        assert end.why == "SPN_E_OTHER_LIFE" and end.newest == 2
        items = await items_until(client.subscribe("s", after="nothing", otherwise="restart"), "caught_up")
        assert (items[0].why, data_of(items)) == ("SPN_E_UNKNOWN_ID", ["a", "b"])
        items = await items_until(
            client.subscribe("s", after=Cursor("0" * 31 + "1", 1), otherwise="restart+wait"), "caught_up"
        )
        assert (items[0].why, data_of(items)) == ("SPN_E_OTHER_LIFE", ["a", "b"])

        waiting = client.subscribe("later", otherwise="wait")
        first = asyncio.create_task(waiting.__anext__())
        await client.health()
        assert not first.done()
        await producer.publish("later", "x")
        assert isinstance(await first, Verdict)

        reading = client.subscribe("s", start="now")
        assert (await reading.__anext__()).kind == "verdict" and (await reading.__anext__()).kind == "caught_up"
        await producer.publish("s", "c")
        await producer.close_session("s", reason="over")
        rest = [item async for item in reading]
        assert data_of(rest) == ["c"]
        assert (rest[-1].why, rest[-1].state, rest[-1].reason) == ("SPN_E_CLOSED", "closed", "over")
        again = await only()
        assert [item.kind for item in again] == ["verdict"] + ["event"] * 3 + ["caught_up", "end"]
        assert await items_until(reading, "end") == []  # it stays ended

        reading = client.subscribe("later")
        await items_until(reading, "caught_up")
        await producer.delete_session("later")
        assert [item.why async for item in reading] == ["SPN_E_DELETED"]


@aio
async def test_what_was_trimmed_is_a_gap_or_in_the_verdict(bare):
    bare.start("--retention-events", "10")
    async with sponson.connect() as client:
        producer = await client.producer()
        await producer.publish_many("s", [Event(data="0" * 1000, id=str(i)) for i in range(100)])
        verdict = await client.subscribe("s").__anext__()
        assert verdict.missing == 90 and verdict.seq == 90
        life = verdict.life
        verdict = await client.subscribe("s", after=Cursor(life, 5)).__anext__()
        assert (verdict.why, verdict.missing) == ("SPN_E_TRIMMED", 85)
        slow = client.subscribe("s", start="now", window_bytes=2000)
        await items_until(slow, "caught_up")
        await producer.publish_many("s", ["1" * 1000] * 500)
        items = []
        async for item in slow:
            items.append(item)
            if item.seq == 600:
                break
        gaps = [item for item in items if isinstance(item, Gap)]
        assert gaps and sum(gap.missing for gap in gaps) + len(data_of(items)) == 500


@aio
async def test_replay(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        await producer.publish_many("s", [Event(data=str(i), id=str(i)) for i in range(5)])
        assert [e.data async for e in client.replay("s", after="2")] == ["3", "4"]
        await producer.close_session("s")
        assert [e.data async for e in client.replay("s", after="3")] == ["4"]
        for session, after, kind in (
            ("none", None, sponson.UnknownSessionError),
            ("s", "x", sponson.UnknownIdError),
            ("s", Cursor("1" * 32, 1), sponson.OtherLifeError),
        ):
            with pytest.raises(kind):
                [e async for e in client.replay(session, after)]


@aio
async def test_follow(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        log = client.follow(touches=True)
        verdict = await log.__anext__()
        assert isinstance(verdict, Verdict) and isinstance(await log.__anext__(), CaughtUp)
        await producer.publish("a-1", "x", id="7")
        await producer.set_attributes("a-1", Attributes(content_type="c/t", note=b"n"))
        await producer.publish("b-1", Event("marker", id="9"))
        await producer.close_session("a-1", reason="why")
        await producer.delete_session("a-1")
        kinds = []
        async for item in log:
            kinds.append(item)
            if item.kind == "delete":
                break
        assert [(i.kind, i.session) for i in kinds] == [
            ("open", "a-1"),
            ("event", "a-1"),
            ("attributes", "a-1"),
            ("open", "b-1"),
            ("marker", "b-1"),
            ("close", "a-1"),
            ("delete", "a-1"),
        ]
        assert (kinds[1].event.data, kinds[1].event.id, kinds[1].life) == ("x", "7", kinds[0].life)
        assert kinds[2].attributes == (0, 0, "c/t", b"n") and kinds[5].reason == "why"
        after = client.follow(after=kinds[3].cursor)
        assert (await after.__anext__()).start == "position"
        assert (await after.__anext__()).kind == "marker"
        prefixed = client.follow(prefix="b-", start="earliest")
        await prefixed.__anext__()
        assert (await prefixed.__anext__()).session == "b-1"
        wrong = client.follow(after=sponson.LogCursor(b"x" * 16, 1))
        assert [item.why async for item in wrong] == ["SPN_E_BAD_POSITION"]


@aio
async def test_a_slow_reader_holds_up_nobody(stage):
    async with sponson.connect(read_bytes_max=100000) as client:
        producer = await client.producer()
        slow = client.subscribe("s", otherwise="wait")
        fast = client.subscribe("s", otherwise="wait")
        await producer.publish_many("s", ["x" * 1000] * 3000)
        await slow.__anext__()
        assert len(data_of([item async for item in fast_until(fast, 3000)])) == 3000
        assert slow._delivered <= 2
        assert len(data_of([item async for item in fast_until(slow, 3000)])) == 3000


async def fast_until(subscription, seq):
    async for item in subscription:
        yield item
        if item.seq == seq and item.kind == "event":
            return


@aio
async def test_a_reader_with_a_backlog_does_not_hold_the_loop(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        await producer.publish_many("s", ["x" * 10] * 5000)
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        between = {}
        async for _ in client.replay("s"):
            between[turns] = between.get(turns, 0) + 1
        task.cancel()
        assert sum(between.values()) == 5000 and max(between.values()) <= 128


def turn_until(client, condition):
    """Turns of the client, with no other callback of the loop between."""
    block_until(lambda: condition() or client._turn())


def block_until(condition):
    """The loop does not run meanwhile."""
    due = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < due


@aio
async def test_an_item_that_came_with_the_cancellation_is_not_lost(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        items = client.subscribe("s", otherwise="wait")
        waiting = asyncio.create_task(items.__anext__())
        await asyncio.sleep(0)
        event = producer.publish("s", "x")
        turn_until(client, lambda: items._delivered)
        waiting.cancel()
        await raises(asyncio.CancelledError, waiting)
        assert (await items.__anext__()).kind == "verdict" and (await items.__anext__()).data == "x"
        await event


@aio
async def test_what_anext_returns_is_used_as_a_coroutine(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        await producer.publish("s", "0")
        items = client.subscribe("s")
        assert asyncio.iscoroutine(items.__anext__())
        items.__anext__().close()  # never awaited
        kinds = [await asyncio.wait_for(anext(items), WAIT_S), await asyncio.create_task(anext(items))]
        assert [item.kind for item in (*kinds, await anext(items))] == ["verdict", "event", "caught_up"]
        waiting = items.__anext__()
        task = asyncio.create_task(waiting)
        await asyncio.sleep(0)
        assert "another task waits" in str(await raises(RuntimeError, items.__anext__()))
        await raises(asyncio.TimeoutError, asyncio.wait_for(asyncio.shield(task), 0))
        await producer.publish("s", "1")
        assert (await task).data == "1"
        assert "again" in str(await raises(RuntimeError, waiting))
        both = await asyncio.gather(anext(items), anext(items), producer.publish("s", "2"), return_exceptions=True)
        assert [type(each) for each in both] == [Event, RuntimeError, sponson.Ack]


@aio
async def test_anext_by_hand(stage):
    """As a loop drives it, and other ways that a coroutine may be driven."""
    async with sponson.connect() as client:
        await client.publish("s", "0", id="0")
        items = client.subscribe("s", start="now")
        await items_until(items, "caught_up")
        for end in (
            lambda waits: waits.close(),
            lambda waits: raises_now(KeyError, waits.throw, KeyError("k")),
            lambda waits: raises_now(KeyError, waits.throw, KeyError, "k", None),
            lambda waits: raises_now(KeyError, waits.throw, KeyError),
        ):
            waits = items.__anext__()
            assert asyncio.isfuture(waits.send(None))
            raises_now(RuntimeError, items.__anext__().send, None)
            end(waits)
            raises_now(RuntimeError, waits.send, None)
        waits = items.__anext__()
        waits.send(None)
        for arguments in ((5,), (int,), (None,), (KeyError("k"), "k"), (KeyError, "k", 5), ()):
            raises_now(TypeError, waits.throw, *arguments)
        assert raises_now(KeyError, waits.throw, KeyError, (1, 2)).args == (1, 2)
        waits = iter(items.__anext__())
        next(waits)
        del waits  # dropped while it waits
        waits = items.__anext__().__await__()
        waited = next(waits)
        await client.publish("s", "1", id="1")
        await asyncio.wait_for(waited, WAIT_S)
        # The event is a tuple, which StopIteration does not take for its arguments.
        assert raises_now(StopIteration, next, waits).value.data == "1"


@aio
async def test_what_happens_while_a_future_is_made(stage):
    """Making one runs Python: the loop's, and what the collector finds."""
    with sponson.sync.connect() as other:
        async with sponson.connect() as client:
            other.publish("s", "0", id="0")
            happens = []

            def create_future():
                while happens:
                    happens.pop()()
                return asyncio.get_running_loop().create_future()

            def publish():
                other.publish("s", "1", id="1")
                turn_until(client, lambda: items._delivered)

            items = plain_subscription(client, create_future)
            while (item := await items.__anext__()).kind != "caught_up":
                pass
            happens.append(publish)
            assert raises_now(StopIteration, items.__anext__().send, None).value.data == "1"
            waits = items.__anext__()
            happens.append(lambda: waits.send(None))
            assert "another task waits" in str(raises_now(RuntimeError, items.__anext__().send, None))
            waits.close()
            happens.append(lambda: items._end(True))
            raises_now(StopAsyncIteration, items.__anext__().send, None)
            items = plain_subscription(client, create_future)
            while (item := await items.__anext__()).kind != "caught_up":
                pass
            happens.append(lambda: items._fail(KeyError("k")))
            raises_now(KeyError, items.__anext__().send, None)


def plain_subscription(client, create_future, kind=_sponson.Subscription):
    return kind(client._core, create_future, False, ("s", "earliest", "", None, 0, "fail", 0))


class Eager:
    """A future that calls whoever awaits it at once."""

    def __init__(self):
        self.is_done = 0
        self.call = lambda: None

    def done(self):
        return self.is_done

    def set_result(self, _):
        self.is_done = 1
        self.call()


@aio
async def test_who_is_woken_may_read_another_subscription_at_once(stage):
    """All that was taken has reached its subscription by then."""
    with sponson.sync.connect() as other:
        async with sponson.connect() as client:
            other.publish("s", "0", id="0")
            readers = [plain_subscription(client, Eager) for _ in range(3)]
            got = [[], [], []]
            held = []

            def read(at):
                """What waits, and the future that it awaits."""
                while True:
                    waits = readers[at].__anext__()
                    try:
                        return waits, waits.send(None)
                    except StopIteration as end:
                        got[at].append(end.value)

            def is_read(kind, seq):
                for at in range(3):
                    read(at)[0].close()
                return all(items and (items[-1].kind, items[-1].seq) == (kind, seq) for items in got)

            turn_until(client, lambda: is_read("caught_up", 1))
            held.append(read(1))
            held[0][1].call = lambda: held.extend(map(read, (0, 2)))
            sent = other.stats()["sponson_events_live_total"]
            other.publish("s", "1", id="1")
            block_until(lambda: other.stats()["sponson_events_live_total"] >= sent + 3)
            turn_until(client, lambda: len(held) == 3)
            for waits, _ in held:
                waits.close()
            other.publish("s", "2", id="2")
            turn_until(client, lambda: is_read("event", 3))
            assert [data_of(items) for items in got] == [["0", "1", "2"]] * 3


@aio
async def test_a_turn_that_had_more_to_do_is_followed_by_another(stage):
    with sponson.sync.connect() as other:  # which does not let the loop run
        async with sponson.connect() as client:
            other.publish("s", "x", id="1")
            readers = [client.subscribe("s", start="now") for _ in range(300)]
            await asyncio.gather(*(items_until(items, "caught_up") for items in readers))
            waiting = [asyncio.create_task(items.__anext__()) for items in readers]
            await asyncio.sleep(0)
            sent = other.stats()["sponson_events_live_total"]
            other.publish("s", "y", id="2")
            block_until(lambda: other.stats()["sponson_events_live_total"] >= sent + 300)
            turn_until(client, lambda: any(items._delivered for items in readers))
            given = sum(items._delivered for items in readers)
            assert given == 256 and client._again
            assert {item.data for item in await asyncio.gather(*waiting)} == {"y"}
            assert len({id(task.result()) for task in waiting}) < 300  # one event is one record


@aio
async def test_events_of_one_turn_are_not_mixed_up(stage):
    with sponson.sync.connect() as other:
        async with sponson.connect() as client:
            for i in range(20):
                other.publish(f"s-{i}", "first", id="1")
            readers = [client.subscribe(f"s-{i}", start="now") for i in range(20)]
            await asyncio.gather(*(items_until(items, "caught_up") for items in readers))
            waiting = [asyncio.create_task(items.__anext__()) for items in readers]
            await asyncio.sleep(0)
            sent = other.stats()["sponson_events_live_total"]
            for i in range(20):
                other.publish(f"s-{i}", str(i), id="2")
            block_until(lambda: other.stats()["sponson_events_live_total"] >= sent + 20)
            assert [item.data for item in await asyncio.gather(*waiting)] == [str(i) for i in range(20)]


@aio
async def test_cancelling_a_reader_loses_no_item(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        items = client.subscribe("s", otherwise="wait")
        found = []
        sending = asyncio.create_task(publish_slowly(producer, 300))
        while not found or found[-1].seq < 300:
            with contextlib.suppress(asyncio.TimeoutError):
                found.append(await asyncio.wait_for(items.__anext__(), 0.0005))
        await sending
        assert data_of(found) == [str(i) for i in range(300)]


async def publish_slowly(producer, count):
    for i in range(count):
        await producer.publish("s", str(i))


@aio
async def test_closing_ends_iterations_and_waits(stage):
    client = await sponson.connect()
    producer = await client.producer()
    items = client.subscribe("none", otherwise="wait")
    waiting = asyncio.create_task(items_until(items, "end"))
    other = asyncio.create_task(items_until(client.subscribe("none", otherwise="wait"), "end"))
    await client.health()
    await items.aclose()
    assert await waiting == []
    stage.stop()
    question = asyncio.create_task(client.health())
    event = producer.publish("s", "x")
    await asyncio.sleep(0)
    await client.aclose(0.01)
    await raises(sponson.InvalidError, other)
    await raises(sponson.InvalidError, question)
    await raises(sponson.TimeoutError, event)
    await client.aclose()
    for call in (client.last("s"), client.health()):
        await raises(sponson.InvalidError, call)
    for call in (lambda: producer.publish("s", "x"), lambda: client.subscribe("s")):
        with pytest.raises(sponson.InvalidError):
            call()
    stage.go_on()


@aio
async def test_what_a_client_failed_with_keeps_no_frames(stage):
    """Each call raises the same exception."""
    client = await sponson.connect()
    producer = await client.producer()
    items = client.subscribe("none", otherwise="wait")
    await client.aclose()
    for call in (client.health, client.producer, lambda: producer.publish("s", "x"), items.__anext__):
        for _ in range(20):
            error = await raises(sponson.InvalidError, called(call))
        assert len(list(traceback.walk_tb(error.__traceback__))) < 10


async def called(call):
    return await call()


@aio
async def test_leaving_the_client_waits_for_results(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        futures = [producer.publish("s", str(i)) for i in range(100)]
    assert all(future.done() and future.result().result == "stored" for future in futures)


# -- the sidecar -----------------------------------------------------------------------------------


@aio
async def test_questions(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        await asyncio.gather(*(producer.publish(f"s-{i:04}", "x", id=str(i)) for i in range(1000)))
        names = [session.name async for session in client.sessions()]
        assert names == [f"s-{i:04}" for i in range(1000)]
        assert [s.name async for s in client.sessions("s-00", "s-0097")] == ["s-0098", "s-0099"]
        many = await asyncio.gather(*(client.last(f"s-{i:04}") for i in range(1000)))
        assert [last.id for last in many] == [str(i) for i in range(1000)]
        assert (await client.stats())["sponson_events_durable_total"] >= 1000
        assert (await client.health()).version == sponson.__version__
        assert client.data_max == 4 * 1024 * 1024
        info = await client.session("s-0001")
        assert (info.first_seq, info.markers, info.life_first_seq, info.session.seq) == (1, 0, 1, 1)


@aio
async def test_without_a_sidecar(bare):
    started = time.monotonic()
    error = await raises(sponson.TimeoutError, connect(timeout=0.1))
    assert (
        isinstance(error, TimeoutError)
        and "no sidecar is answering" in str(error)
        and time.monotonic() - started < 5
    )
    await raises(sponson.UnavailableError, connect(at_once=True))
    client = await sponson.connect(timeout=0)
    health = asyncio.create_task(client.health())
    items = client.subscribe("s", otherwise="wait")
    producing = asyncio.create_task(client.producer())
    await asyncio.sleep(0)
    bare.start()
    assert (await health).status == "healthy"
    await (await producing).publish("s", "x")
    assert (await items.__anext__()).kind == "verdict"
    await client.aclose()


async def connect(**how):
    return await sponson.connect(**how)


@aio
async def test_all_goes_on_after_a_kill(stage):
    async with sponson.connect() as client:
        producer = await client.producer()
        items = client.subscribe("s", otherwise="wait")
        await producer.publish("s", "0")
        stage.kill()
        event = producer.publish("s", "1")
        question = asyncio.create_task(client.last("s"))
        await asyncio.sleep(0)
        stage.start()
        assert (await event).result == "stored" and (await question).seq in (1, 2)
        found = [item async for item in fast_until(items, 2)]
        assert data_of(found) == ["0", "1"]
