# SPDX-License-Identifier: Apache-2.0
"""Loops, threads and interrupts in ways that a client is not meant for: what cannot work raises, and nothing crashes,
hangs or is lost without a word."""
import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
import traceback
import weakref

import pytest

import sponson
from sponson import Event
from stage import WAIT_S, aio

SANITIZED = bool(os.environ.get("LD_PRELOAD"))
MANY = 100_000 if SANITIZED else 1_000_000
TURN_MAX = 1 / 30  # of the loop's CPU time, between two of its turns
LINES = 400  # of the package; at each of them comes an interrupt,
STEP = 7 if SANITIZED else 1  # or at some


@contextlib.contextmanager
def loop_of_its_own():
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()


async def connected():
    return await sponson.connect(timeout=WAIT_S)


# -- more than one loop ----------------------------------------------------------------------------


def test_each_thread_has_a_loop_and_a_client(stage):
    found = []

    async def work(name):
        async with sponson.connect(timeout=WAIT_S) as client, await client.producer() as producer:
            for i in range(100):
                await producer.publish(name, str(i))
            found.append([event.data async for event in client.replay(name)])

    threads = [threading.Thread(target=lambda n=n: asyncio.run(work(f"s-{n}"))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert found == [[str(i) for i in range(100)]] * 4


def test_a_client_of_a_loop_that_is_over(stage):
    async def first():
        client = await connected()
        return client, await client.producer(), client.subscribe("none", otherwise="wait")

    async def second(client, producer, items):
        for call in (
            client.health,
            client.producer,
            lambda: producer.publish("s", "x"),
            lambda: producer.publish_many("s", ["x"]),
            lambda: client.subscribe("s"),
            client.follow,
        ):
            with pytest.raises(RuntimeError, match="event loop is closed"):
                await call()
        with pytest.raises(RuntimeError, match="different loop"):
            await items.__anext__()
        await items.aclose()
        assert await producer.aclose() == 0
        await client.aclose()
        assert client.closed

    opened = asyncio.run(first())
    asyncio.run(second(*opened))


def test_a_loop_is_closed_while_futures_wait(stage):
    """Their tasks never go on; closing the client is all that is left to do."""
    with loop_of_its_own() as loop:
        client = loop.run_until_complete(connected())
        producer = loop.run_until_complete(client.producer())
        items = client.subscribe("none", otherwise="wait")
        stage.kill()

        async def begin():
            waits = [producer.publish("s", "x"), producer.publish_many("s", ["x"] * 5), client.health()]
            tasks = [asyncio.gather(asyncio.ensure_future(each)) for each in (*waits, items.__anext__())]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return tasks

        tasks = loop.run_until_complete(begin())
        loop.set_exception_handler(lambda *_: None)  # "Task was destroyed"
    asyncio.run(items.aclose())
    assert asyncio.run(producer.aclose()) == 6
    asyncio.run(client.aclose())
    assert client.closed and not any(task.done() for task in tasks)


@aio
async def test_another_thread_is_refused(stage):
    async with sponson.connect() as client, await client.producer() as producer:
        items = client.subscribe("s", otherwise="wait")

        def work():
            calls = (
                client.health,
                client.aclose,
                items.__anext__,
                items.aclose,
                producer.flush,
                producer.aclose,
                lambda: client.publish("s", "x", id="1"),
            )
            for call in calls:
                with pytest.raises(RuntimeError, match="loop of another thread"):
                    call().send(None)
            for call in (
                lambda: producer.publish("s", "x"),
                lambda: producer.publish_many("s", ["x"]),
                lambda: producer.touch("s"),
                lambda: client.subscribe("s"),
                client.follow,
            ):
                with pytest.raises(RuntimeError, match="loop of another thread"):
                    call()

        for i in range(20):
            working = asyncio.ensure_future(asyncio.to_thread(work))
            await producer.publish("s", str(i))
            await working
        assert [event.data async for event in client.replay("s")] == [str(i) for i in range(20)]


# -- one loop --------------------------------------------------------------------------------------


def test_a_fork_in_the_middle_of_an_await(stage):
    """The child goes on in the parent's loop: all that it waits for raises, and the parent loses nothing."""

    async def parent():
        async with sponson.connect(timeout=WAIT_S) as client, await client.producer() as producer:
            items = client.subscribe("none", otherwise="wait")
            waits = [
                asyncio.create_task(items.__anext__()),
                asyncio.create_task(client.health()),
                producer.publish("s", "x"),
            ]
            await asyncio.sleep(0)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    found = [await asyncio.gather(wait, return_exceptions=True) for wait in waits]
                    assert all(isinstance(each, sponson.ForkedError) for (each,) in found), found
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(code)
            assert (await waits[2]).result == "stored" and (await waits[1]).status == "healthy"
            ended = asyncio.create_task(asyncio.to_thread(os.waitpid, child, 0))
            while not ended.done():
                await producer.publish("s", "y")
            assert ended.result()[1] == 0
            await client.publish("none", "z", id="1")
            assert (await waits[0]).kind == "verdict"

    asyncio.run(asyncio.wait_for(parent(), 120))


@aio
async def test_a_subscription_that_two_tasks_read(stage):
    """One of them is refused, also if the other only let the loop go on."""
    async with sponson.connect() as client, await client.producer() as producer:

        async def read(items, got):
            try:
                async for item in items:
                    got.append(item)
            except RuntimeError as error:
                return str(error)
            return ""

        for count in range(50, 75):
            session = f"s-{count}"
            await producer.publish_many(session, [str(i) for i in range(count)])
            items = client.subscribe(session)
            got = [await items.__anext__()]
            while not items._unasked:  # all have come
                await asyncio.sleep(0)
            tasks = [asyncio.create_task(read(items, got)) for _ in range(2)]
            while len(got) < count + 2:
                await asyncio.sleep(0)
            await producer.close_session(session)
            said = await asyncio.wait_for(asyncio.gather(*tasks), WAIT_S)
            assert [item.data for item in got if isinstance(item, Event)] == [str(i) for i in range(count)]
            assert set(said) <= {"", "another task waits for the next item of this subscription"}


class Interrupt:
    """Raises KeyboardInterrupt at this line of the package, counted from where it is set."""

    def __init__(self, at):
        self.left = at
        self.where = None

    def __call__(self, frame, event, arg):
        if os.path.dirname(frame.f_code.co_filename) != os.path.dirname(sponson.__file__):
            return None
        self.left -= 1
        if self.left == 0:
            sys.settrace(None)
            self.where = f"{frame.f_code.co_name}:{frame.f_lineno}"
            raise KeyboardInterrupt
        return self


def test_an_interrupt_at_any_line_of_a_turn(stage):
    """A loop that goes on after it: what was taken and reached nobody raises, and nobody waits for ever."""
    ends = set()
    for at in range(1, LINES, STEP):
        with loop_of_its_own() as loop:
            client = loop.run_until_complete(connected())
            producer = loop.run_until_complete(client.producer())
            items = client.subscribe("s", otherwise="wait")

            async def one(text):
                return await producer.publish("s", text)

            tasks = [loop.create_task(items.__anext__()), loop.create_task(client.health())]
            loop.run_until_complete(asyncio.sleep(0))
            tasks.append(loop.create_task(one("x")))
            interrupt = Interrupt(at)
            waiting = loop.create_task(asyncio.wait(tasks))
            gc.collect()
            sys.settrace(interrupt)
            with contextlib.suppress(KeyboardInterrupt):
                loop.run_until_complete(waiting)
            sys.settrace(None)
            waiting.cancel()
            # If what it waited for had ended, the interrupted run left a callback that stops the next one.
            loop.call_soon(loop.stop)
            loop.run_forever()
            with contextlib.suppress(sponson.InvalidError):
                loop.run_until_complete(asyncio.wait_for(one("y"), WAIT_S))
            _, left = loop.run_until_complete(asyncio.wait(tasks, timeout=WAIT_S))
            assert not left, (interrupt.where, left)
            found = [task.exception() or task.result() for task in tasks]
            for each in found:
                assert not isinstance(each, Exception) or isinstance(each, sponson.InvalidError), interrupt.where
            ends.update(type(each).__name__ for each in found)
            loop.run_until_complete(client.aclose(0))
        if interrupt.where is None:
            break
    assert interrupt.where is None, "there are more lines"
    assert {"InvalidError", "KeyboardInterrupt", "Verdict", "Health", "Ack"} <= ends


# -- what is published -------------------------------------------------------------------------------


@aio
async def test_generators(stage):
    async with sponson.connect() as client, await client.producer() as producer:

        def fails():
            yield "a"
            raise TypeError("mine")

        def publishes():
            for i in range(3):
                producer.publish("s", f"before {i}")
                yield f"many {i}"

        with pytest.raises(TypeError, match="^mine$") as caught:
            await producer.publish_many("s", fails())
        assert caught.traceback[-1].name == "fails"
        assert len(await producer.publish_many("s", publishes())) == 3
        assert [event.data async for event in client.replay("s")] == [
            *(f"before {i}" for i in range(3)),
            *(f"many {i}" for i in range(3)),
        ]


@aio
async def test_a_million_at_once(stage):
    """The loop goes on meanwhile. The collector is not the package's, and takes longer the more there is."""
    events = [str(i) for i in range(MANY)]
    longest = 0.0

    async def watch():
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    async with sponson.connect() as client, await client.producer() as producer:
        gc.disable()
        try:
            watching = asyncio.create_task(watch())
            await asyncio.sleep(0)
            started = time.thread_time()
            acks = await producer.publish_many("s", events)
            taken = time.thread_time() - started
        finally:
            gc.enable()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        assert [acks[0].ticket, acks[-1].ticket, len(acks)] == [1, MANY, MANY]
        assert producer.counters().stored == MANY
    print(f"the longest turn took {longest * 1000:.1f} ms of {taken * 1000:.0f}")
    if not SANITIZED and not sys.flags.dev_mode:
        assert longest < taken * TURN_MAX


# -- references --------------------------------------------------------------------------------------


def test_weak_references_to_what_is_in_a_cycle(stage):
    """Their callbacks run when all of it is gone, and may use it no more."""
    died = []

    async def work():
        client = await connected()
        producer = await client.producer()
        items = client.subscribe("none", otherwise="wait")
        future = producer.publish("s", "x")
        held = [client, producer, items, future]
        future.add_done_callback(lambda _: held)
        items.held = held
        references = [weakref.ref(each, lambda _: died.append(len(died))) for each in held]
        del client, producer, items, future, held
        await asyncio.sleep(0)
        gc.collect()
        return references

    assert [reference() for reference in asyncio.run(work())] == [None] * 4
    assert len(died) == 4


# -- python's own severity ---------------------------------------------------------------------------

PROGRAM = """
import asyncio, gc, sponson
from sponson import sync
async def main():
    async with sponson.connect(timeout=30) as client, await client.producer() as producer:
        await producer.publish(b"s", b"x", id=b"1", type=b"t", note=b"n")
        await producer.publish("s", sponson.Event(data="y", id=b"2"), closes=True, reason=b"over")
        await client.publish("t", sponson.Event(data="y", id="2"), reason=b"")
        await producer.publish_many("t", [b"x", "y", sponson.Event(data=b"z")])
        print([event.data async for event in client.replay(b"s", after=b"1")])
        client.subscribe("none", otherwise="wait")
    await sponson.connect(timeout=30)
    with sync.connect(timeout=30) as client:
        with client.producer() as producer:
            producer.publish("u", b"x", id=b"1", closes=True, reason=b"over")
        client.subscribe("u").next()
    sync.connect(timeout=30)
    gc.collect()
asyncio.run(main())
"""


def test_the_development_mode_has_nothing_to_say(stage):
    words = [sys.executable, "-X", "dev", "-W", "error", "-bb", "-c", PROGRAM]
    done = subprocess.run(words, timeout=WAIT_S, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]  # a slow machine
    assert (done.returncode, done.stdout, said) == (0, "['y']\n", [])
