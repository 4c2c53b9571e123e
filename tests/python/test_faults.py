# SPDX-License-Identifier: Apache-2.0
"""What programs do to a binding: they fork, are interrupted, forget, close twice, and drop what they read. Nothing
of it hangs, leaks or crashes. $SPONSON_ROUNDS in one process each, and $SPONSON_PROCESSES where each needs its
own."""
import asyncio
import contextlib
import ctypes
import gc
import os
import random
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import weakref

import pytest

import sponson
from sponson import _sponson, sync
from stage import WAIT_S, aio, is_asleep

ROUNDS = int(os.environ.get("SPONSON_ROUNDS", "100"))
PROCESSES = int(os.environ.get("SPONSON_PROCESSES", "5"))
SEED = int(os.environ.get("SPONSON_SEED", "0")) or random.randrange(1, 2**32)
# Sanitizers keep what is freed for a while.
RSS_MAX = 0 if os.environ.get("LD_PRELOAD") else 2 * 1024 * 1024
COLLECTED_MAX = 20  # objects at which the collector runs
RSS_ROUNDS = 5000  # fewer say nothing


def rss():
    """Without what the allocator only keeps: each context has a thread, whose arena is used again later."""
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def descriptors():
    return len(os.listdir("/proc/self/fd"))


class Flat:
    """Memory, objects and descriptors after the first rounds are those at the end."""

    def __init__(self, rounds):
        self.first = max(rounds * 2 // 5, 20)
        self.rounds = rounds
        self.before = None

    def after(self, number):
        if number == self.first:
            gc.collect()
            self.before = (rss(), descriptors(), len(gc.get_objects()))

    def check(self):
        if self.before is None:
            return
        gc.collect()
        # The descriptors of a context that was given up are closed by its own thread.
        due = time.monotonic() + WAIT_S
        while descriptors() > self.before[1] + 8 and time.monotonic() < due:
            time.sleep(0.01)
        assert descriptors() <= self.before[1] + 8, (self.before, descriptors())
        # The sanitizer cannot see that one of these is lost: the collector still has it in its lists.
        objects = len(gc.get_objects())
        assert objects <= self.before[2] + max(self.rounds // 20, 50), (self.before, objects)
        if RSS_MAX and self.rounds >= RSS_ROUNDS:
            print(
                f"RSS {self.before[0] >> 10} KiB after {self.first} rounds, {rss() >> 10} KiB after {self.rounds}"
            )
            assert rss() < self.before[0] + RSS_MAX, (self.before, rss())


@pytest.fixture
def draws():
    print("seed", SEED)
    return random.Random(SEED)


async def store(session, count):
    async with sponson.connect(timeout=WAIT_S) as client:
        producer = await client.producer()
        await producer.publish_many(session, [f"event {i}" for i in range(count)])


def rounds(count=ROUNDS):
    flat = Flat(count)
    for number in range(count):
        yield number
        flat.after(number)
    flat.check()


# -- forgotten -------------------------------------------------------------------------------------


async def use_and_forget(draws):
    """Some of what a program may have open, none of it closed or awaited to its end."""
    client = await sponson.connect(timeout=draws.choice((0, WAIT_S)))
    left = [client]
    if draws.random() < 0.5:
        left.append(asyncio.create_task(client.health()))
    if draws.random() < 0.5:
        left.append(client.subscribe("s", otherwise="wait"))
        left.append(asyncio.create_task(left[-1].__anext__()))
    if draws.random() < 0.5:
        left.append(asyncio.create_task(client.producer()))
    if draws.random() < 0.3:
        producer = await client.producer()
        left += [producer, producer.publish("s", "x"), producer.publish_many("s", ["x"] * 5)]
    for _ in range(draws.randrange(3)):
        await asyncio.sleep(0)
    for task in left:
        if isinstance(task, asyncio.Future):
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*(task for task in left if isinstance(task, asyncio.Task)), return_exceptions=True)
    left.append(left)  # a cycle: only the collector finds it
    draws.shuffle(left)


def test_forgotten_clients_are_collected_in_any_order(stage, draws):
    async def main():
        for number in rounds():
            await use_and_forget(draws)
            if number % 10 == 0:
                gc.collect()
            await asyncio.sleep(0)

    asyncio.run(main())


def test_forgotten_clients_of_forgotten_loops(stage, draws):
    """The loop ends with the client in it."""
    for number in rounds(ROUNDS // 2):
        asyncio.run(use_and_forget(draws))
        if number % 10 == 0:
            gc.collect()


@aio
async def test_a_client_that_is_collected_in_another_thread(stage):
    async with sponson.connect() as other:
        for number in rounds(ROUNDS // 2):
            client = await sponson.connect()
            held = [client, client.subscribe("s", otherwise="wait")]
            del client
            await asyncio.to_thread(held.clear)
            if number % 50 == 0:
                assert (await other.health()).status == "healthy"


class Closer:
    """Closes what it has when the collector finds it."""

    def __init__(self, closed):
        self.closed = closed
        self.cycle = self

    def __del__(self):
        self.closed.close()


def call_collected(closed, call, at):
    """Calls it; the collector runs at the object of this number that is made from here on."""
    gc.collect()
    gc.set_threshold(0)
    Closer(closed)
    gc.set_threshold(at)
    try:
        call()
    except (sponson.InvalidError, sponson.BadSessionError):
        pass
    finally:
        gc.set_threshold(0)


def test_finalizers_close_what_a_call_is_about(stage):
    """The collector may run at each new object, also at those that a method makes of what the library lends."""
    asyncio.run(store("s", 30))
    before = gc.get_threshold()
    with sync.connect(timeout=WAIT_S) as client:
        try:
            for at in range(1, COLLECTED_MAX):
                for session in ("s", "s\udcff"):
                    items, producer = client.subscribe("s"), client.producer(timeout=WAIT_S)
                    assert items.next(WAIT_S).kind == "verdict"
                    many = [sponson.Event(data=session, id=str(i)) for i in range(20)]
                    for i in range(5):
                        producer.send("t", str(i), id=str(i % 3))
                    producer._core.flush()
                    question = _sponson.Question(client._core, None, "sessions", ("", "", None, "durable"))
                    client.health()
                    call_collected(items, lambda: client._core.deliver_items(100), at)
                    call_collected(client.subscribe("s"), client.subscribe("s")._core._take, at)
                    call_collected(question, question.answer, at)
                    call_collected(producer, lambda: producer._core.take_acks(10), at)
                    other = client.producer(timeout=WAIT_S)
                    call_collected(other, lambda: other._core.publish_many(session, many, 0, 100), at)
                    call_collected(other, lambda: other._core.set(session, sponson.Attributes(), None), at)
        finally:
            gc.set_threshold(*before)


class Freed(_sponson.Subscription):
    """One that there can be a weak reference to."""


def test_a_subscription_gets_nothing_while_it_is_freed(stage):
    """The callback of a weak reference may run a turn."""
    asyncio.run(store("s", 30))
    with sync.connect(timeout=WAIT_S) as client:

        def turn(_):
            client.health()
            client._core.deliver_items(100)

        for _ in rounds():
            arguments = ("s", "earliest", "", None, 0, "fail", 0)
            items = Freed(client._core, None, False, arguments)
            reference = weakref.ref(items, turn)
            client.health()
            del items
            assert reference() is None


RECORDS = (sponson.Event, sponson.Verdict, sponson.Gap, sponson.CaughtUp, sponson.End, sponson.Entry)


@pytest.mark.parametrize("count", [1, 3])
def test_what_was_taken_is_freed(bare, count):
    """Items of each kind; those that the client takes for all of its subscriptions, and those that one takes."""
    bare.start("--retention-events", "3")

    async def main():
        await store("s", 10)
        async with sponson.connect(timeout=WAIT_S) as client:
            readers = [client.subscribe("s") for _ in range(count)] + [client.follow(start="now")]
            readings = [asyncio.create_task(read(items)) for items in readers[:-1]]
            following = asyncio.create_task(readers[-1].__anext__())
            await following
            for i in range(10):
                await client.publish("s", f"later {i}", id=f"l{i}")
            await client.set_attributes("s", sponson.Attributes())
            await client.close_session("s")
            assert [len(got) for got in await asyncio.gather(*readings)] == [3 + 10] * count
            for _ in range(11):
                await readers[-1].__anext__()
            for reader in readers:
                await reader.aclose()

    async def read(items):
        return [item.data async for item in items if isinstance(item, sponson.Event)]

    asyncio.run(main())
    gc.collect()
    assert not [each for each in gc.get_objects() if type(each) in RECORDS]


# -- dropped half-way, closed twice ----------------------------------------------------------------


@aio
async def test_iterators_are_dropped_half_way(stage, draws):
    await store("s", 30)
    async with sponson.connect(timeout=WAIT_S) as client:
        for _ in rounds():
            items = draws.choice(
                (lambda: client.subscribe("s"), lambda: client.follow(), lambda: client.replay("s"))
            )()
            for _ in range(draws.randrange(12)):
                await items.__anext__()
            if draws.random() < 0.3:
                await items.aclose()
        async for item in client.subscribe("s"):
            if item.kind == "caught_up":
                break


def test_sync_iterators_are_dropped_half_way(stage, draws):
    asyncio.run(store("s", 30))
    with sync.connect(timeout=WAIT_S) as client:
        for _ in rounds():
            items = draws.choice((client.subscribe, client.replay))("s")
            for _ in range(draws.randrange(12)):
                next(items)
        assert len(list(client.replay("s"))) == 30


def test_everything_is_closed_twice_in_any_order(stage, draws):
    for _ in rounds(ROUNDS // 2):
        client = sync.connect(timeout=WAIT_S)
        all_of_it = [client, client.producer(), client.subscribe("s", otherwise="wait"), client.follow()]
        all_of_it[1].send("s", "x")
        for one in draws.sample(all_of_it * 2, 8):
            one.close()
        for call in (
            client.health,
            lambda: client.subscribe("s"),
            client.producer,
            lambda: all_of_it[1].publish("s", "x"),
        ):
            with pytest.raises(sponson.InvalidError):
                call()


@aio
async def test_everything_is_closed_twice_in_any_order_on_a_loop(stage, draws):
    for _ in rounds(ROUNDS // 2):
        client = await sponson.connect(timeout=WAIT_S)
        producer = await client.producer()
        all_of_it = [client, producer, client.subscribe("s", otherwise="wait"), client.follow()]
        event = producer.publish("s", "x")
        for one in draws.sample(all_of_it * 2, 8):
            await one.aclose()
        assert (await event).result == "stored"


# -- interrupted -----------------------------------------------------------------------------------


@contextlib.contextmanager
def interrupts():
    """Gives what arranges a Ctrl-C after some seconds, in whatever is done by then."""
    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_interrupt_in_the_middle_of_an_await(stage, draws):
    async def work():
        async with sponson.connect(timeout=None) as client:
            producer = await client.producer()
            items = client.subscribe("s", otherwise="wait")
            await producer.publish("s", "x")
            await client.health()
            async for _ in items:
                pass  # there is no end

    count = 0
    with interrupts() as interrupt:
        for _ in rounds():
            try:
                interrupt(draws.uniform(0.0001, 0.006))
                asyncio.run(work())
            except (
                KeyboardInterrupt,
                asyncio.CancelledError,
            ):  # asyncio.run loses the former before its first turn
                count += 1
    assert count == ROUNDS


def test_an_interrupt_in_the_middle_of_a_wait(stage, draws):
    client = sync.connect(timeout=WAIT_S)
    producer = client.producer(timeout=WAIT_S)
    items = client.subscribe("none", otherwise="wait")
    count = 0

    def work():
        producer.publish("s", "x")
        client.health(timeout=None)
        producer.publish_many("s", ["y"] * 10)
        items.next()

    with interrupts() as interrupt:
        for _ in rounds():
            try:
                interrupt(draws.uniform(0.0001, 0.004))
                work()
            except KeyboardInterrupt:
                count += 1
    assert count == ROUNDS
    assert client.health(timeout=WAIT_S).status == "healthy"
    assert producer.publish("t", "x", timeout=WAIT_S).result == "stored"


# -- forked ----------------------------------------------------------------------------------------


def in_child(draws, work):
    """Runs it in a fork, with draws of its own, and leaves that without cleaning up."""
    seed = draws.random()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work(random.Random(seed))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0, status


def test_a_child_opens_its_own(stage, draws):
    client = sync.connect(timeout=WAIT_S)
    producer = client.producer()
    items = client.subscribe("s", otherwise="wait")

    def child(draws):
        for call in (client.health, lambda: producer.publish("s", "x"), items.next, lambda: client.subscribe("s")):
            with pytest.raises(sponson.ForkedError, match="open one in this process"):
                call()
        for one in draws.sample([client, producer, items], draws.randrange(4)):
            one.close()
        if draws.random() < 0.2:
            with sync.connect(timeout=WAIT_S) as own:
                assert own.producer().publish("child", "x").result == "stored"

    for _ in rounds():
        in_child(draws, child)
        producer.publish("s", "x")
    found = [items.next(WAIT_S).kind for _ in range(ROUNDS + 1)]
    assert found.count("event") >= ROUNDS - 1


def test_closing_in_a_child_wakes_its_threads(stage, draws):
    """Nothing else does: in a child no socket is closed. Who still waited for the descriptor would wait for whatever
    has its number next."""
    client = sync.connect(timeout=WAIT_S)

    def child(_):
        raised = []

        def work():
            try:
                client._wait(lambda: None, None)
            except sponson.Error as error:
                raised.append(error)

        number = client._core.fileno()
        read, _ = os.pipe()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        while thread.is_alive() and not is_asleep(thread):
            pass
        client.close()
        os.dup2(read, number)  # silent, and open as long as it takes
        thread.join(WAIT_S)
        assert raised

    for _ in range(5):
        client.health()
        while select.select([client._core.fileno()], [], [], 0)[0]:
            client._core.step()
        in_child(draws, child)


def test_a_child_of_a_loop_opens_its_own(stage, draws):
    """The loop's epoll is shared with the child, which must leave the parent's watch alone."""

    async def parent():
        async with sponson.connect(timeout=WAIT_S) as client:
            producer = await client.producer()
            items = client.subscribe("s", otherwise="wait")

            def child(draws):
                nonlocal client, producer, items
                with pytest.raises(sponson.ForkedError):
                    producer.publish("s", "x")
                with pytest.raises(sponson.ForkedError):
                    client.subscribe("s")
                with pytest.raises(sponson.ForkedError):
                    asyncio.run(client.health())
                how = draws.randrange(3)
                if how == 0:
                    asyncio.run(client.aclose())
                elif how == 1:
                    client = producer = items = None
                    gc.collect()
                elif draws.random() < 0.3:
                    asyncio.run(store("child", 1))

            for _ in rounds():
                in_child(draws, child)
                await asyncio.wait_for(producer.publish("s", "x"), WAIT_S)
            await asyncio.wait_for(items.__anext__(), WAIT_S)

    asyncio.run(parent())


# -- processes that end ----------------------------------------------------------------------------

ENDS = {
    "forgets a client": """
        async def main():
            global client, producer, items, event
            client = await sponson.connect(timeout=None)
            producer = await client.producer()
            items = client.subscribe("s", otherwise="wait")
            event = producer.publish("s", "x")
        asyncio.run(main())
    """,
    "forgets a client in a task": """
        async def main():
            client = await sponson.connect(timeout=None)
            async for item in client.subscribe("none", otherwise="wait"):
                pass
        async def outer():
            global task
            task = asyncio.create_task(main())
            await asyncio.sleep(0.01)
        asyncio.run(outer())
    """,
    "forgets a client for threads": """
        client = sync.connect(timeout=None)
        producer = client.producer(level="none")
        items = client.subscribe("s", otherwise="wait")
        producer.send("s", "x")
    """,
    "forgets a thread that waits": """
        client = sync.connect(timeout=None)
        items = client.subscribe("none", otherwise="wait")
        threading.Thread(target=items.next, daemon=True).start()
        client.health()
    """,
    "has threads in the middle of everything": """
        client = sync.connect(timeout=None)
        producer = client.producer()
        started = threading.Barrier(9)
        def work(number):
            items = client.subscribe(str(number), otherwise="wait")
            started.wait()
            while True:
                producer.publish(str(number % 3), "x")
                client.health()
                try:
                    items.next(0.001)
                except sponson.TimeoutError:
                    pass
        for number in range(8):
            threading.Thread(target=work, args=(number,), daemon=True).start()
        started.wait()
    """,
    "closes at its end what threads wait for": """
        import atexit
        client = sync.connect(timeout=None)
        atexit.register(client.close)
        for number in range(8):
            items = client.subscribe("none", otherwise="wait")
            threading.Thread(target=lambda: list(items), daemon=True).start()
        client.health()
    """,
    "has a loop in a thread": """
        async def main():
            async with sponson.connect(timeout=None) as client:
                started.set()
                async for item in client.subscribe("none", otherwise="wait"):
                    pass
        started = threading.Event()
        threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
        started.wait()
    """,
    "exits in the middle": """
        client = sync.connect(timeout=None)
        client.producer().send("s", "x")
        sys.exit(0)
    """,
    "has a cycle at its end": """
        client = sync.connect(timeout=None)
        cycle = [client, client.producer(), client.subscribe("s", otherwise="wait")]
        cycle.append(cycle)
        del client, cycle
    """,
}
HEAD = "import asyncio, sys, threading, sponson\nfrom sponson import sync\n"


@pytest.mark.parametrize("name", ENDS)
def test_a_process_that_forgets_ends(stage, name):
    program = HEAD + textwrap.dedent(ENDS[name])
    for _ in range(PROCESSES):
        done = subprocess.run([sys.executable, "-c", program], timeout=WAIT_S, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()


def test_a_process_without_a_sidecar_ends(bare):
    program = HEAD + textwrap.dedent(
        """
        client = sync.connect(timeout=0)
        items = client.subscribe("s", otherwise="wait")
        async def main():
            global other, left
            other = await sponson.connect(timeout=0)
            left = asyncio.ensure_future(other.health())
            await asyncio.sleep(0.01)
        asyncio.run(main())
    """
    )
    for _ in range(PROCESSES):
        done = subprocess.run([sys.executable, "-c", program], timeout=WAIT_S, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()


# -- interpreters ------------------------------------------------------------------------------------

IN_ANOTHER = """
import sponson
from sponson import sync
client = sync.connect(timeout=30)
client.publish("s", "x", id="1")
assert [event.data for event in client.replay("s")] == ["x"]
try:
    client.last("none")
except sponson.UnknownSessionError:
    pass
left = client.subscribe("s"), client.producer()
"""


def test_each_interpreter_has_its_own(stage):
    interpreters = pytest.importorskip("_xxsubinterpreters", reason="this Python shows no interpreters")
    with sync.connect(timeout=WAIT_S) as client:
        for _ in range(5):
            other = interpreters.create()
            interpreters.run_string(other, IN_ANOTHER)
            interpreters.destroy(other)
            assert [event.data for event in client.replay("s")] == ["x"]
